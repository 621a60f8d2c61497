"""Consent: what each student allows, by the records in the consent ledger, which is read before each fold."""

import asyncio
import hmac
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from mastery_engine.clock import Clock
from mastery_engine.domain.consent import (
    ConsentChange,
    History,
    allows,
    counts,
    erased_at,
    merged,
    now_allowed,
    pack_note,
    pseudonym,
    unpack_note,
)
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.domain.people.identity import DERIVED
from mastery_engine.domain.people.link import LINK, pack_links
from mastery_engine.domain.student import DocumentKey, StudentKey, document_key_of, key_of
from mastery_engine.errors import Conflict, Forbidden, NotFound, Unavailable
from mastery_engine.ports.consent_ledger import ConsentLedger
from mastery_engine.services.links import LATEST, KnownLinks

logger = logging.getLogger(__name__)

# Consent is a student's, in all courses: the key of a document says whose it is as well.
Whose: TypeAlias = "StudentKey | DocumentKey"
K = TypeVar("K", StudentKey, DocumentKey)

REFRESH = SECOND
PATIENCE_S = 0.5
MOVED = "This id belongs to another student here, to whom its evidence was moved: ask about them."
REFUSED = (
    "The student has not consented to processing: record their consent first, "
    "by PUT /compliance/students/{student_id}/consent."
)


class Consents:
    """All changes of consent, all erasures and all links of derived ids, by keyed hashes."""

    def __init__(self, ledger: ConsentLedger, clock: Clock, secret: bytes, *, default: bool) -> None:
        """``default`` holds for students who have no record.

        A change has the time of its writing, not of its call, so that times are in the order of the ledger.
        """
        self._ledger = ledger
        self._clock = clock
        self._secret = secret
        self._known: dict[str, History] = {}
        self._next = 0
        self._lock = asyncio.Lock()
        self._asked_at = -REFRESH
        self._was_read = False
        self.default = default
        self.links = KnownLinks(self.history)

    def pseudonym(self, key: Whose) -> str:
        """The student's keyed hash."""
        return pseudonym(self._secret, key)

    def proof(self, key: StudentKey, at: Micros) -> str:
        """A proof that this student was erased at this moment; only the holder of the key can make it."""
        return hmac.digest(self._secret, f"erased:{self.pseudonym(key)}:{at}".encode(), "sha256").hex()

    async def refresh(self) -> None:
        """Read the records that are new in the ledger. Raises Unavailable."""
        async with self._lock:
            await self._read()

    async def refresh_lately(self, now: Micros) -> bool:
        """As ``refresh``, if the last one was over a second ago. If the ledger does not answer, what is known stays.

        False if the ledger was never read, so that it is not known what is allowed.
        """
        if abs(now - self._asked_at) >= REFRESH:
            self._asked_at = now
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self.refresh()
            except (Unavailable, TimeoutError) as error:
                logger.warning("consent cannot be refreshed: %s", str(error) or f"no answer within {PATIENCE_S} s")
        return self._was_read

    async def _read(self) -> None:
        notes, self._next = await self._ledger.read(self._next)
        self._was_read = True
        for note in notes:
            try:
                if note.name.startswith(LINK):
                    self.links.read(note.name, note.value, note.at)
                    continue
                history = unpack_note(note.value, note.at)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                logger.error("a record of consent cannot be read and is skipped: %s", error)
            else:
                self._known[note.name] = merged(self._known.get(note.name, ()), history)

    def history(self, key: Whose) -> History:
        """A student's changes of consent, as of the last ``refresh``; of a derived id those made under it.

        The erasure of a student erased what had moved to them, and so the derived id as well.
        """
        if not self._known:
            return ()
        own = self._known.get(self.pseudonym(key), ())
        return merged(own, self.links.erasures(StudentKey(*key[:2]))) if self.links else own

    def state(self, key: Whose) -> ConsentChange:
        """What a student allows now, as of the last ``refresh``."""
        return now_allowed(self.history(key), default=self.default)

    def erased(self, keys: Iterable[K]) -> dict[K, Micros]:
        """By key, when the student was last erased; without those never erased."""
        moments = {key: erased_at(self.history(key)) for key in keys} if self._known else {}
        return {key: at for key, at in moments.items() if at is not None}

    def by_owner(self, events: Mapping[DocumentKey, Sequence[Logged]]) -> Mapping[DocumentKey, Sequence[Logged]]:
        """The events by the document that they belong in: what came under a derived id is its student's.

        As of the last ``refresh``; the same object where none moved.
        """
        if not self.links:
            return events
        moved = {key for key in events if key.student_id.startswith(DERIVED) and key.student in self.links}
        if not moved:
            return events
        owned: dict[DocumentKey, Sequence[Logged]] = {key: own for key, own in events.items() if key not in moved}
        joined: dict[DocumentKey, list[Logged]] = {}
        for key in moved:
            for logged in events[key]:
                owner = self.owner_of(logged.event)
                joined.setdefault(owner, [*owned.get(owner, ())]).append(logged)
        return owned | {key: sorted(own, key=_arrival) for key, own in joined.items()}

    def misplaced(self, events: Mapping[DocumentKey, Sequence[Logged]]) -> set[DocumentKey]:
        """The documents in which some of these events do not belong, as of the last ``refresh``."""
        return {key for key, own in events.items() if any(self.owner_of(logged.event) != key for logged in own)}

    def is_linked(self, key: Whose) -> bool:
        """Whether the evidence of a derived id moved to a student, as of the last ``refresh``."""
        return bool(self.links) and self.links.owner(StudentKey(*key[:2])) != key[:2]

    def owner_of(self, event: LearningEvent) -> DocumentKey:
        """The document that an event belongs in, as of the last ``refresh``."""
        if not self.links:
            return document_key_of(event)
        return DocumentKey(*self.links.owner(key_of(event), event.received), event.course_id)

    def as_owners(self, event: LearningEvent) -> LearningEvent:
        """The event as one of the student to whom it belongs, as of the last ``refresh``."""
        if not self.links:
            return event
        owner = self.owner_of(event).student_id
        return event if owner == event.student_id else msgspec.structs.replace(event, student_id=owner)

    async def student_now(self, tenant: str, student_id: str, now: Micros) -> str:
        """The student to whom something belongs that comes under an id now."""
        if student_id.startswith(DERIVED):
            await self.refresh_lately(now)
            return self.links.owner(StudentKey(tenant, student_id)).student_id
        return student_id

    async def check_reads(self, tenant: str, student_id: str, now: Micros) -> None:
        """Raises NotFound for a derived id whose evidence moved to a student."""
        if await self.student_now(tenant, student_id, now) != student_id:
            raise NotFound(MOVED, field="student_id")

    def check_changes(self, key: StudentKey) -> None:
        """Raises Conflict for a derived id whose evidence moved to a student, as of the last ``refresh``."""
        if self.is_linked(key):
            raise Conflict(MOVED, field="student_id")

    def filter_by_consent(
        self, events: Mapping[DocumentKey, Sequence[Logged]]
    ) -> Mapping[DocumentKey, Sequence[Logged]]:
        """The events that were allowed at their receipt, by the document that they belong in, as its student's.

        Consent is a student's, in all courses.
        """
        if self.allows_all:
            return events
        return {key: self._allowed(key, own) for key, own in events.items()}

    def _allowed(self, key: DocumentKey, events: Sequence[Logged]) -> Sequence[Logged]:
        own, default = key.student_id, self.default
        for logged in events if self.links else ():
            if logged.event.student_id != own:
                return [_as_of(own, one) for one in events if self._counts(one.event)]
        if not self._known and default:
            return events
        history = self.history(key)
        return [logged for logged in events if counts(logged.event, history, default=default)]

    def _counts(self, event: LearningEvent) -> bool:
        return self._allows(key_of(event), event.received, min(event.received, event.at))

    def _allows(self, key: StudentKey, received: Micros, earliest: Micros) -> bool:
        """Whether processing was allowed at a moment of receipt: what came before a link, by whose id it came under.

        It must not be from before an erasure of a student to whom it moved, either.
        """
        further = self.links.step(key, received)
        if further is None:
            return allows(self.history(key), received, earliest, default=self.default)
        student, since = further
        if received >= since:
            return self._allows(student, received, earliest)
        return allows(self.history(key), received, earliest, default=self.default) and self._is_left(
            student, received, earliest
        )

    def _is_left(self, key: StudentKey, received: Micros, earliest: Micros) -> bool:
        """Whether no erasure took what moved to a student, or from them to another."""
        erased = erased_at(self.history(key))
        if erased is not None and earliest <= erased:
            return False
        further = self.links.step(key, received)
        return further is None or self._is_left(further[0], received, earliest)

    def profiling(self, keys: Sequence[Whose]) -> list[bool]:
        """Whether each of these students allows profiling, in their order, as of the last ``refresh``."""
        return [self.state(key).profiling for key in keys] if self._known else [self.default] * len(keys)

    def allowed(self, key: StudentKey, received: Micros, earliest: Micros | None = None) -> bool:
        """Whether a student allowed processing at a moment of receipt, as of the last ``refresh``.

        ``earliest`` is the time that it is about, where that is before the receipt.
        """
        return self._allows(key, received, received if earliest is None else min(earliest, received))

    async def change(self, key: StudentKey, processing: bool | None, profiling: bool | None) -> None:
        """Change what a student allows; None leaves it as it is. Durable on return.

        What says again what holds already is not recorded. The first word of a student is, although it may be what the
        school's default says (which may change), and so is the first after an erasure.
        """
        async with self._lock:
            await self._read()
            before = self.state(key)
            after = ConsentChange(
                before.at,
                before.processing if processing is None else processing,
                before.profiling if profiling is None else profiling,
            )
            says_nothing = processing is None and profiling is None
            if says_nothing or (after == before and self.history(key)):
                return
            await self._put(key, msgspec.structs.replace(after, at=0))

    async def erase(self, key: StudentKey) -> Micros:
        """Record an erasure: nothing from before it counts any more. Returns its moment; durable on return."""
        async with self._lock:
            await self._read()
            await self._put(key, ConsentChange(0, False, False, erased=True))
            return max(change.at for change in self.history(key) if change.erased)

    async def link(self, students: Mapping[StudentKey, StudentKey]) -> None:
        """Record to whom derived ids belong from now on; durable on return. What is recorded already is not again."""
        async with self._lock:
            await self._read()
            new = {
                f"{LINK}{self.pseudonym(derived)}": (derived, student, self.links.of(derived))
                for derived, student in students.items()
                if (further := self.links.step(derived, LATEST)) is None or further[0] != student
            }
            await self._put_all(
                {
                    name: pack_links(one, before, to.student_id, self.state(to).at)
                    for name, (one, to, before) in new.items()
                }
            )
            # Another process may have written meanwhile, of which the last record knows nothing.
            both = {name: one for name, (one, _, before) in new.items() if len(self.links.of(one)) > len(before) + 1}
            await self._put_all({name: pack_links(one, self.links.of(one)) for name, one in both.items()})

    async def unlink(self, student: StudentKey) -> None:
        """Forget what was linked to a student, who was erased: the derived ids are erased as well, and name nobody."""
        sources = self.links.sources(student)
        for source in sources:
            await self.erase(source)
        async with self._lock:
            left = {
                source: tuple(link for link in self.links.of(source) if link.student_id != student.student_id)
                for source in sources
            }
            await self._put_all(
                {f"{LINK}{self.pseudonym(source)}": pack_links(source, links) for source, links in left.items()}
            )

    async def _put_all(self, values: Mapping[str, bytes]) -> None:
        if values:
            await self._ledger.put_all(values, self._clock())
            await self._read()

    async def _put(self, key: StudentKey, change: ConsentChange) -> None:
        """Write a change. If another process wrote meanwhile, write again, so that the last record has both changes."""
        name, before = self.pseudonym(key), self.history(key)
        await self._put_all({name: pack_note(before, change)})
        after = self._known[name]
        if [msgspec.structs.replace(new, at=0) for new in after[len(before) :]] != [change] and not change.erased:
            await self._put_all({name: pack_note(after)})

    @property
    def allows_all(self) -> bool:
        """Whether every event is taken as its sender's, as of the last ``refresh``: nobody said otherwise."""
        return self.default and not self._known and not self.links

    def check_processing(self, key: StudentKey) -> None:
        """Raises Forbidden if the student does not allow processing, as of the last ``refresh``."""
        if not self.state(key).processing:
            raise Forbidden(REFUSED, field="student_id")

    async def allows_profile(self, key: Whose, now: Micros) -> bool:
        """Whether this student allows profiling; False also if that is not known."""
        return await self.refresh_lately(now) and self.state(key).profiling

    async def check_profiling(self, key: StudentKey, now: Micros) -> None:
        """Raises Conflict if this student does not allow profiling, Unavailable if that is not known."""
        if not await self.refresh_lately(now):
            raise Unavailable("Whether this student allows profiling cannot be read at the moment: try again later.")
        if not self.state(key).profiling:
            raise Conflict(
                "The student has not consented to profiling, so there is no profile: record their consent first, "
                "by PUT /compliance/students/{student_id}/consent.",
                field="student_id",
            )


def _arrival(logged: Logged) -> tuple[Micros, int, int]:
    """In the order of the log, as far as it has one."""
    return (logged.event.received, logged.partition, logged.offset)


def _as_of(student_id: str, logged: Logged) -> Logged:
    """The event as one of the student to whom it belongs."""
    event = msgspec.structs.replace(logged.event, student_id=student_id)
    return Logged(event, logged.partition, logged.offset)
