"""Consent, erasure, export and the audit trail."""

from datetime import datetime
from typing import Any

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import peek
from mastery_engine.domain.moments import day_of, iso_date, moment_of, rfc3339
from mastery_engine.domain.student import Student, StudentKey
from mastery_engine.errors import InvalidInput, NotFound
from mastery_engine.ports.audit_log import AuditFilter, AuditRecord
from mastery_engine.ports.event_log import DeadLetter, Record
from mastery_engine.responses.privacy import (
    AuditEntry,
    AuditTrail,
    Consent,
    ConsentPoint,
    Erasure,
    Export,
    HeldDay,
    HeldEvent,
    HeldLetter,
    StaysUntil,
)
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.mastery import Mastery

AUDIT_PAGE = 1_000
LETTERS = 1_000
ELSEWHERE = ("process logs, which name students", "backups, until they are overwritten")


class Privacy:
    """What the law asks of whoever keeps students' data."""

    def __init__(self, mastery: Mastery, cohorts: Cohorts | None = None) -> None:
        self._mastery = mastery
        self._cohorts = cohorts or Cohorts(mastery)

    async def consent(self, caller: Caller, student_id: str) -> Consent:
        """What a student allows, known or not. Raises Forbidden."""
        self._mastery.check_student(caller, Act.OWN_DATA, student_id, "consent")
        await self._mastery.consents.refresh()
        return self._consent(StudentKey(caller.tenant, student_id))

    async def change_consent(
        self, caller: Caller, student_id: str, processing: bool | None, profiling: bool | None
    ) -> Consent:
        """Change what a student allows; what is None stays. It holds for what is received from now on."""
        mastery, key = self._mastery, StudentKey(caller.tenant, student_id)
        mastery.check_student(caller, Act.OWN_DATA, student_id, "consent-change", changes=True)
        await mastery.trail.write(caller, "consent-change", [student_id])
        await mastery.consents.change(key, processing, profiling)
        return self._consent(key)

    def _consent(self, key: StudentKey) -> Consent:
        now = self._mastery.consents.state(key)
        history = [
            ConsentPoint(rfc3339(one.at), one.processing, one.profiling, one.erased)
            for one in self._mastery.consents.history(key)
        ]
        return Consent(key.student_id, now.processing, now.profiling, history)

    async def erase(self, caller: Caller, student_id: str) -> Erasure:
        """Take out all that stores and log hold about a student; what is received from before counts no more.

        An unknown student is erased too: events of theirs may be under way. It may be called again.
        """
        mastery, key = self._mastery, StudentKey(caller.tenant, student_id)
        mastery.check_student(caller, Act.GOVERN, student_id, "erase", changes=True)
        await mastery.trail.write(caller, "erase", [student_id])
        at = await mastery.consents.erase(key)
        await self._cohorts.forget(key)
        stored = await mastery.folding.remove([key])
        await mastery.kept.drop(caller.tenant, student_id)
        logged = await mastery.log.erase(key)
        return Erasure(
            mastery.consents.name(key),
            rfc3339(at),
            stored,
            logged,
            await self._elsewhere(),
            mastery.consents.proof(key, at),
        )

    async def _elsewhere(self) -> list[StaysUntil]:
        fading = await self._mastery.log.fading(self._mastery.clock())
        topics = [StaysUntil(one.where, None if one.until is None else rfc3339(one.until)) for one in fading]
        return [*topics, *(StaysUntil(where, None) for where in ELSEWHERE)]

    async def export(self, caller: Caller, student_id: str, *, scan: bool = False) -> Export:
        """All that is held about a student. Raises NotFound where that is nothing, or where they were erased."""
        mastery, key = self._mastery, StudentKey(caller.tenant, student_id)
        mastery.check_student(caller, Act.OWN_DATA, student_id, "export")
        await mastery.consents.refresh()
        (held,) = await mastery.store.load([key])
        records = None if mastery.consents.state(key).erased else await mastery.log.held(key, scan=scan)
        consent = self._consent(key)
        if mastery.consents.state(key).erased or (held is None and not records and not consent.history):
            raise NotFound("Nothing is held about this student.", field="student_id")
        await mastery.trail.flush()
        return Export(
            student_id,
            caller.tenant,
            rfc3339(mastery.clock()),
            None if held is None else readable(held.student),
            [] if held is None else self._days(held.student),
            consent,
            await self._audit(key),
            await self._letters(key),
            (None if records is None else [_held_event(one) for one in records]),
            await self._elsewhere(),
        )

    def _days(self, student: Student) -> list[HeldDay]:
        levels = self._mastery.rules.levels
        points = self._mastery.points(student, last=day_of(self._mastery.clock()))
        return [
            HeldDay(iso_date(one.day), one.score, levels[min(one.rank, len(levels) - 1)].name, *one.components)
            for one in points
        ]

    async def _audit(self, key: StudentKey) -> list[AuditEntry]:
        """The records about a student, and those of their own calls."""
        name = self._mastery.consents.name(key)
        found: dict[AuditRecord, None] = {}
        for wanted in (AuditFilter(student=name), AuditFilter(subject=name)):
            cursor: str | None = None
            while True:
                page = await self._mastery.store.audit_page(key.tenant, wanted, limit=AUDIT_PAGE, cursor=cursor)
                found |= dict.fromkeys(page.records)
                cursor = page.cursor
                if cursor is None:
                    break
        return [_entry(one) for one in sorted(found, key=lambda one: one.at)]

    async def _letters(self, key: StudentKey) -> list[HeldLetter]:
        found: list[DeadLetter] = []
        after = 0
        while page := await self._mastery.log.dead_letters(after=after, limit=LETTERS):
            after = page[-1].letter_id
            found += [one for one in page if one.tenant == key.tenant and _is_of(one, key.student_id)]
        return [HeldLetter(one.event_id, one.code, one.message, rfc3339(one.at), _text(one.value)) for one in found]

    async def audit(
        self,
        caller: Caller,
        *,
        student_id: str | None = None,
        subject: str | None = None,
        call: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        allowed: bool | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> AuditTrail:
        """A page of the audit trail, newest first. ``subject`` finds a student by their id too."""
        mastery = self._mastery
        mastery.check_act(caller, Act.GOVERN, "audit")
        mastery.trail.note(caller, "audit", student_id, allowed=True)
        for field, moment in (("from", start), ("to", end)):
            if moment is not None and moment.tzinfo is None:
                raise InvalidInput("A moment needs its time zone, as in 2026-01-14T10:30:00Z.", field=field)
        await mastery.trail.flush()
        wanted = AuditFilter(
            None if student_id is None else mastery.consents.name(StudentKey(caller.tenant, student_id)),
            subject,
            call,
            None if start is None else moment_of(start),
            None if end is None else moment_of(end),
            allowed,
        )
        page = await mastery.store.audit_page(caller.tenant, wanted, limit=limit, cursor=cursor)
        return AuditTrail([_entry(one) for one in page.records], page.cursor)


def readable(value: Any) -> Any:
    """A structure by its fields' names, bytes as hexadecimal text."""
    if isinstance(value, msgspec.Struct):
        return {name: readable(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {_text(name) if isinstance(name, bytes) else str(name): readable(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [readable(one) for one in value]
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return value


def _entry(one: AuditRecord) -> AuditEntry:
    return AuditEntry(
        rfc3339(one.at), one.subject, one.role, one.call, one.student_id, one.allowed, one.address, one.request_id
    )


def _held_event(one: Record) -> HeldEvent:
    inner, outside = (None, None) if one.value is None else unwrap(one.value)
    event_id = peek(inner)[1] or one.id_beside(outside)
    return HeldEvent(one.partition, one.offset, rfc3339(one.received), event_id, _text(one.value) or "")


def _is_of(letter: DeadLetter, student_id: str) -> bool:
    return letter.student_id == student_id or letter.key == student_id.encode()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
