"""The audit trail: changes are on record before they are answered, reads within half a second."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from mastery_engine.auth.access import Caller
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.audit_log import AuditRecord
from mastery_engine.ports.clock import Clock
from mastery_engine.ports.documents import Store

logger = logging.getLogger(__name__)

FLUSH_S = 0.5
MOST_WAITING = 100_000


class Trail:
    """Collects audit records and writes them to the store. A crash may lose the last half second of reads."""

    def __init__(self, store: Store, clock: Clock, name: Callable[[StudentKey], str]) -> None:
        """``name`` gives the keyed hash of a student: no student's id goes on record."""
        self._store = store
        self._clock = clock
        self._name = name
        self._waiting: list[AuditRecord] = []
        self._is_away = False

    def note(self, caller: Caller, call: str, student_id: str | None, *, allowed: bool) -> None:
        """Record an access that changes nothing; it is written soon. Raises Unavailable where too many wait."""
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable("The audit trail cannot be written: no student's data is shown until it can.")
        self._waiting.append(self._record(caller, call, student_id, allowed=allowed))

    async def write(self, caller: Caller, call: str, student_ids: Iterable[str | None]) -> None:
        """Record a change to each of these students; on record when this returns."""
        await self._store.audit([self._record(caller, call, student_id, allowed=True) for student_id in student_ids])

    async def flush(self) -> None:
        """Write what waits; it keeps waiting where the store is away."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            await self._store.audit(waiting)
        except Unavailable as error:
            self._waiting = waiting + self._waiting
            if not self._is_away:
                logger.warning("the audit trail waits for the store: %s", error)
            self._is_away = True
        else:
            self._is_away = False

    async def keep_flushing(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    def _record(self, caller: Caller, call: str, student_id: str | None, *, allowed: bool) -> AuditRecord:
        return AuditRecord(
            self._clock(),
            caller.tenant,
            self._name(StudentKey(caller.tenant, caller.subject)) if caller.role == "student" else caller.subject,
            caller.role,
            call,
            None if student_id is None else self._name(StudentKey(caller.tenant, student_id)),
            allowed,
            caller.address,
            caller.request_id,
        )
