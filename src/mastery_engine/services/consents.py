"""Who has allowed what, as the log's records of consent say it: the log is the truth, and is read before each fold."""

import asyncio
import hmac
import logging
from collections.abc import Mapping, Sequence

import msgspec

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
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Conflict, Forbidden, Unavailable
from mastery_engine.ports.clock import Clock
from mastery_engine.ports.event_log import EventLog

logger = logging.getLogger(__name__)

REFRESH = SECOND
PATIENCE_S = 0.5
MOST_NAMES = 20_000  # to make one costs more than to remember it
REFUSED = "Processing of this student's data is not allowed: PUT …/consent comes first."


class Consents:
    """All changes of consent and erasures, by the students' keyed hashes."""

    def __init__(self, log: EventLog, clock: Clock, secret: bytes, *, default: bool) -> None:
        """``default`` is what holds for a student of whom nothing was said."""
        self._log = log
        self._clock = clock
        self._secret = secret
        self._known: dict[str, History] = {}
        self._names: dict[StudentKey, str] = {}
        self._next = 0
        self._lock = asyncio.Lock()
        self._asked_at = -REFRESH
        self._was_read = False
        self.default = default

    def name(self, key: StudentKey) -> str:
        """The student's keyed hash."""
        name = self._names.get(key)
        if name is None:
            if len(self._names) >= MOST_NAMES:
                self._names.clear()
            name = self._names[key] = pseudonym(self._secret, key)
        return name

    def proof(self, key: StudentKey, at: Micros) -> str:
        """That this student was erased at this moment, as only the holder of the key can make it."""
        return hmac.digest(self._secret, f"erased:{self.name(key)}:{at}".encode(), "sha256").hex()

    async def refresh(self) -> None:
        """Learn what the log has been told since. Raises Unavailable."""
        async with self._lock:
            await self._read()

    async def refresh_lately(self) -> bool:
        """The same, where that was more than a second ago: for reading. A log that is away leaves what was known.

        False where nothing was ever read, so that nobody knows what is allowed.
        """
        now = self._clock()
        if abs(now - self._asked_at) >= REFRESH:
            self._asked_at = now
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self.refresh()
            except (Unavailable, TimeoutError) as error:
                logger.warning("consent is as it was last known: %s", str(error) or f"no answer within {PATIENCE_S} s")
        return self._was_read

    async def _read(self) -> None:
        notes, self._next = await self._log.consents(self._next)
        self._was_read = True
        for note in notes:
            try:
                said = unpack_note(note.value, note.at)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                logger.error("a record of consent that no engine wrote is passed over: %s", error)
            else:
                self._known[note.name] = merged(self._known.get(note.name, ()), said)

    def history(self, key: StudentKey) -> History:
        """What was changed, as of the last ``refresh``."""
        return self._known.get(self.name(key), ()) if self._known else ()

    def state(self, key: StudentKey) -> ConsentChange:
        """What is allowed now, as of the last ``refresh``."""
        return now_allowed(self.history(key), default=self.default)

    def erased(self, keys: Sequence[StudentKey]) -> dict[StudentKey, Micros]:
        """When each of these was erased the last time, where they were."""
        found = {key: erased_at(self.history(key)) for key in keys} if self._known else {}
        return {key: at for key, at in found.items() if at is not None}

    def sift(self, events: Mapping[StudentKey, Sequence[Logged]]) -> Mapping[StudentKey, Sequence[Logged]]:
        """The events that count, by what was allowed at their receipt."""
        if not self._known and self.default:
            return events
        return {
            key: [one for one in some if counts(one.event, self.history(key), default=self.default)]
            for key, some in events.items()
        }

    def allowed(self, key: StudentKey, received: Micros) -> bool:
        """Whether what came from a student at a moment may be kept, as of the last ``refresh``."""
        return allows(self.history(key), received, received, default=self.default)

    async def change(self, key: StudentKey, processing: bool | None, profiling: bool | None) -> None:
        """Change what is allowed; what is None stays as it is. Durable on return."""
        async with self._lock:
            await self._read()
            before = self.state(key)
            await self._put(
                key,
                ConsentChange(
                    0,
                    before.processing if processing is None else processing,
                    before.profiling if profiling is None else profiling,
                ),
            )

    async def erase(self, key: StudentKey) -> Micros:
        """Nothing from before now counts any more; the moment. Durable on return."""
        async with self._lock:
            await self._read()
            await self._put(key, ConsentChange(0, False, False, erased=True))
            return max(change.at for change in self.history(key) if change.erased)

    async def _put(self, key: StudentKey, change: ConsentChange) -> None:
        """Write; where another process wrote meanwhile, both changes stand in the last record."""
        name, before = self.name(key), self.history(key)
        await self._log.put_consent(name, pack_note(before, change), self._clock())
        await self._read()
        after = self._known[name]
        if [msgspec.structs.replace(one, at=0) for one in after[len(before) :]] != [change] and not change.erased:
            await self._log.put_consent(name, pack_note(after), self._clock())
            await self._read()

    async def check_processing(self, keys: Sequence[StudentKey]) -> None:
        """Raises Forbidden where new events of one of these are not allowed."""
        await self.refresh()
        for key in keys:
            self.check_known_processing(key)

    def check_known_processing(self, key: StudentKey) -> None:
        """The same, as of the last ``refresh``."""
        if not self.state(key).processing:
            raise Forbidden(REFUSED, field="student_id")

    async def check_profiling(self, key: StudentKey) -> None:
        """Raises Conflict where no profile may be made of this student."""
        if not await self.refresh_lately():
            raise Unavailable("Nobody can say now whether a profile of this student is allowed: ask again later.")
        if not self.state(key).profiling:
            raise Conflict(
                "Profiling of this student is not allowed, so there is none: PUT …/consent comes first.",
                field="student_id",
            )
