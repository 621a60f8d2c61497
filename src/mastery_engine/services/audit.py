"""The audit trail: changes are recorded before they are answered, reads and refusals within half a second."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import Micros, moment_of
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import InvalidInput, Unavailable
from mastery_engine.ports.audit_log import AuditFilter, AuditLog, AuditRecord
from mastery_engine.responses.privacy import AuditEntry, AuditTrail, audit_entry

logger = logging.getLogger(__name__)
T = TypeVar("T")

FLUSH_S = 0.5
PAGE = 1_000
MOST_WAITING = 100_000


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which audit records to show; None means all. ``start`` is included, ``end`` is not.

    ``subject`` is whoever called; a student's own calls are found by the student's id.
    """

    student_id: str | None = None
    subject: str | None = None
    call: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    allowed: bool | None = None
    limit: int = 100
    cursor: str | None = None


class Audit:
    """Collects audit records and writes them to the log. A crash may lose the last half second of reads."""

    def __init__(self, log: AuditLog, clock: Clock, pseudonym: Callable[[StudentKey], str]) -> None:
        """``pseudonym`` gives the keyed hash of a student, which is recorded in place of the id."""
        self._log = log
        self._clock = clock
        self._pseudonym = pseudonym
        self._pending: list[AuditRecord] = []
        self._is_away = False
        self._flushing = asyncio.Lock()

    def note(self, caller: Caller, call: str, student_id: str | None, *, allowed: bool) -> None:
        """Record an access that changes nothing; it is written soon. Raises Unavailable if too many are unwritten."""
        if len(self._pending) >= MOST_WAITING:
            raise Unavailable("The audit trail cannot be written, so no student's data can be shown: try again later.")
        self._pending.append(self._record(caller, call, student_id, allowed=allowed, at=caller.moment(self._clock)))

    async def write(self, caller: Caller, call: str, student_ids: Iterable[str | None]) -> None:
        """Record a change to each of these students, durably on return. Raises Unavailable."""
        at = caller.moment(self._clock)
        await self._log.append(
            [self._record(caller, call, student_id, allowed=True, at=at) for student_id in student_ids]
        )

    async def write_then(
        self,
        caller: Caller,
        call: str,
        student_ids: Iterable[str | None],
        change: Callable[[], Coroutine[Any, Any, T]],
        store: object,
    ) -> T:
        """As ``write``, and then make the change in a store, which writes nothing else before. Raises Unavailable.

        Where record and change go into one file, in the order in which they are asked for, the second does not wait
        until the first is on the disk: mostly both get there together.
        """
        if not self._log.precedes(store):
            await self.write(caller, call, student_ids)
            return await change()
        done: tuple[None, T] = await asyncio.gather(self.write(caller, call, student_ids), change())
        return done[1]

    async def flush(self) -> None:
        """Write the pending records, on return those that another call is writing too.

        They stay pending if the store does not answer.
        """
        async with self._flushing:
            pending, self._pending = self._pending, []
            if not pending:
                return
            try:
                await self._log.append(pending)
            except Unavailable as error:
                self._pending = pending + self._pending
                if not self._is_away:
                    logger.warning("the audit trail cannot be written at the moment: %s", error)
                self._is_away = True
            else:
                self._is_away = False

    async def keep_flushing(self) -> None:
        """Flush every half second, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def page(self, tenant: str, query: AuditQuery) -> AuditTrail:
        """A page of a tenant's audit trail, newest first.

        Raises InvalidInput if a moment has no time zone, the end lies before the start, or the cursor is not one that
        this call gave.
        """
        for field, moment in (("from", query.start), ("to", query.end)):
            if moment is not None and moment.tzinfo is None:
                raise InvalidInput(f"{field} must have a time zone, as in 2026-01-14T10:30:00Z.", field=field)
        if query.start is not None and query.end is not None and query.end < query.start:
            raise InvalidInput("to must not lie before from.", field="to")
        await self.flush()
        wanted = AuditFilter(
            None if query.student_id is None else self._pseudonym(StudentKey(tenant, query.student_id)),
            query.subject,
            query.call,
            None if query.start is None else moment_of(query.start),
            None if query.end is None else moment_of(query.end),
            query.allowed,
        )
        page = await self._log.page(tenant, wanted, limit=query.limit, cursor=query.cursor)
        return AuditTrail([audit_entry(record) for record in page.records], page.cursor)

    async def entries_of(self, key: StudentKey) -> list[AuditEntry]:
        """The records about a student, and those of the student's own calls, oldest first."""
        await self.flush()
        name = self._pseudonym(key)
        records: dict[AuditRecord, None] = {}
        for wanted in (AuditFilter(student=name), AuditFilter(subject=name)):
            cursor: str | None = None
            while True:
                page = await self._log.page(key.tenant, wanted, limit=PAGE, cursor=cursor)
                records |= dict.fromkeys(page.records)
                cursor = page.cursor
                if cursor is None:
                    break
        return [audit_entry(record) for record in sorted(records, key=lambda record: record.at)]

    def _record(self, caller: Caller, call: str, student_id: str | None, *, allowed: bool, at: Micros) -> AuditRecord:
        return AuditRecord(
            at,
            caller.tenant,
            self._pseudonym(StudentKey(caller.tenant, caller.subject)) if caller.role == "student" else caller.subject,
            caller.role,
            call,
            None if student_id is None else self._pseudonym(StudentKey(caller.tenant, student_id)),
            allowed,
            caller.address,
            caller.request_id,
        )
