"""Consent: what each student allows, by the records in the consent ledger, which is read before each fold."""

import asyncio
import hmac
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, TypeVar

import msgspec
from cachetools import FIFOCache

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
from mastery_engine.domain.events.event import Logged
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import Conflict, Forbidden, Unavailable
from mastery_engine.ports.consent_ledger import ConsentLedger

logger = logging.getLogger(__name__)

# Consent is a student's, in all courses: the key of a document says whose it is as well.
Whose: TypeAlias = "StudentKey | DocumentKey"
K = TypeVar("K", StudentKey, DocumentKey)

REFRESH = SECOND
PATIENCE_S = 0.5
MOST_PSEUDONYMS = 20_000  # cached, since computing one costs more
REFUSED = (
    "The student has not consented to processing: record their consent first, "
    "by PUT /compliance/students/{student_id}/consent."
)


class Consents:
    """All changes of consent and all erasures, by the students' keyed hashes."""

    def __init__(self, ledger: ConsentLedger, clock: Clock, secret: bytes, *, default: bool) -> None:
        """``default`` holds for students who have no record.

        A change has the time of its writing, not of its call, so that times are in the order of the ledger.
        """
        self._ledger = ledger
        self._clock = clock
        self._secret = secret
        self._known: dict[str, History] = {}
        self._pseudonyms: FIFOCache[tuple[str, str], str] = FIFOCache(MOST_PSEUDONYMS)
        self._next = 0
        self._lock = asyncio.Lock()
        self._asked_at = -REFRESH
        self._was_read = False
        self.default = default

    def pseudonym(self, key: Whose) -> str:
        """The student's keyed hash."""
        student = key[:2]
        known = self._pseudonyms.get(student)
        if known is None:
            known = self._pseudonyms[student] = pseudonym(self._secret, StudentKey(*student))
        return known

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
                history = unpack_note(note.value, note.at)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                logger.error("a record of consent cannot be read and is skipped: %s", error)
            else:
                self._known[note.name] = merged(self._known.get(note.name, ()), history)

    def history(self, key: Whose) -> History:
        """A student's changes of consent, as of the last ``refresh``."""
        return self._known.get(self.pseudonym(key), ()) if self._known else ()

    def state(self, key: Whose) -> ConsentChange:
        """What a student allows now, as of the last ``refresh``."""
        return now_allowed(self.history(key), default=self.default)

    def erased(self, keys: Iterable[K]) -> dict[K, Micros]:
        """By key, when the student was last erased; without those never erased."""
        moments = {key: erased_at(self.history(key)) for key in keys} if self._known else {}
        return {key: at for key, at in moments.items() if at is not None}

    def filter_by_consent(
        self, events: Mapping[DocumentKey, Sequence[Logged]]
    ) -> Mapping[DocumentKey, Sequence[Logged]]:
        """The events that were allowed at their receipt, by document: consent is a student's, in all courses."""
        if not self._known and self.default:
            return events
        return {
            key: [logged for logged in own if counts(logged.event, history, default=self.default)]
            for key, own in events.items()
            for history in [self.history(key)]
        }

    def profiling(self, keys: Sequence[Whose]) -> list[bool]:
        """Whether each of these students allows profiling, in their order, as of the last ``refresh``."""
        return [self.state(key).profiling for key in keys] if self._known else [self.default] * len(keys)

    def allowed(self, key: StudentKey, received: Micros) -> bool:
        """Whether a student allowed processing at a moment of receipt, as of the last ``refresh``."""
        return allows(self.history(key), received, received, default=self.default)

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

    async def _put(self, key: StudentKey, change: ConsentChange) -> None:
        """Write a change. If another process wrote meanwhile, write again, so that the last record has both changes."""
        name, before = self.pseudonym(key), self.history(key)
        await self._ledger.put(name, pack_note(before, change), self._clock())
        await self._read()
        after = self._known[name]
        if [msgspec.structs.replace(new, at=0) for new in after[len(before) :]] != [change] and not change.erased:
            await self._ledger.put(name, pack_note(after), self._clock())
            await self._read()

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
