"""The log in memory: for tests, and for folds that nobody keeps."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from uuid import uuid4

import msgspec

from mastery_engine.domain.events.event import LearningEvent, encode
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result, result_id
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.event_log import NO_TRACES, Batch, ConsentRecord, DeadLetter, Fading, Position, Record, Where

IDLE_S = 0.05


class MemoryLog:
    """See ``EventLog``. ``published`` holds what went out, by id."""

    def __init__(self, *, batch_size: int = 500) -> None:
        self._log_id = uuid4().hex
        self._batch_size = batch_size
        self._records: dict[int, Record] = {}
        self._end = 0
        self._committed = 0
        self._letters: dict[int, DeadLetter] = {}
        self._last_letter = 0
        self._appended = asyncio.Event()
        self._consents: list[ConsentRecord] = []
        self.published: dict[str, Result] = {}

    async def log_id(self) -> str:
        return self._log_id

    async def append(self, events: Sequence[LearningEvent], traceparent: str | None = None) -> list[Position]:
        del traceparent
        return [
            self._put(event.received, event.tenant, event.student_id.encode(), encode(event), event.event_id)
            for event in events
        ]

    def _put(self, received: Micros, tenant: str, key: bytes | None, value: bytes | None, event_id: str) -> Position:
        position = Position(0, self._end)
        self._records[self._end] = Record(0, self._end, received, tenant, key, value, event_id)
        self._end += 1
        self._appended.set()
        return position

    async def ends(self) -> dict[int, int]:
        return {0: self._end}

    async def committed(self) -> dict[int, int]:
        return {0: self._committed}

    async def batches(self, where: Where) -> AsyncIterator[Batch | None]:
        start = (await where(await self.committed()))[0]
        while True:
            self._appended.clear()
            records = [record for offset, record in self._records.items() if offset >= start][: self._batch_size]
            if records:
                end = records[-1].offset + 1
                yield Batch(tuple(records), {0: start}, {0: end})
                start = end
                continue
            if start < self._end:  # nothing is left of what was there
                yield Batch((), {0: start}, {0: self._end})
                start = self._end
                continue
            yield None
            try:
                await asyncio.wait_for(self._appended.wait(), IDLE_S)
            except TimeoutError:
                continue

    async def commit(self, ends: Mapping[int, int]) -> None:
        self._committed = ends[0]

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        del traceparents
        for result in results:
            self.published.setdefault(result_id(result), result)

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        buried = {(letter.topic, letter.partition, letter.offset) for letter in self._letters.values()}
        for letter in letters:
            position = (letter.topic, letter.partition, letter.offset)
            if position not in buried:
                buried.add(position)
                self._last_letter += 1
                self._letters[self._last_letter] = msgspec.structs.replace(
                    letter, attempts=letter.attempts + self._redriven(letter), letter_id=self._last_letter
                )

    def _redriven(self, letter: DeadLetter) -> int:
        event = letter.tenant, letter.event_id
        return sum((one.tenant, one.event_id) == event for one in self._letters.values() if one.redriven is not None)

    async def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        return [letter for letter_id, letter in self._letters.items() if letter_id > after][:limit]

    async def dead_letter(self, letter_id: int) -> DeadLetter | None:
        return self._letters.get(letter_id)

    async def redrive(self, letter_ids: Sequence[int], at: Micros) -> dict[int, Position]:
        found = {}
        for letter_id in letter_ids:
            letter = self._letters.get(letter_id)
            if letter is not None and letter.redriven is None:
                self._letters[letter_id] = msgspec.structs.replace(letter, redriven=at)
                put = self._put(letter.received, letter.tenant, letter.key, letter.value, letter.event_id or "")
                found[letter_id] = put
        return found

    async def put_consent(self, name: str, value: bytes, at: Micros) -> None:
        self._consents.append(ConsentRecord(name, value, at))

    async def consents(self, after: int) -> tuple[list[ConsentRecord], int]:
        return self._consents[after:], len(self._consents)

    async def held(self, key: StudentKey, *, scan: bool = False) -> list[Record] | None:
        del scan
        return [one for one in self._records.values() if (one.tenant, one.key) == (key.tenant, key.student_id.encode())]

    async def pages(self) -> AsyncIterator[Sequence[Record]]:
        yield list(self._records.values())

    async def erase(self, key: StudentKey) -> int:
        name = key.student_id.encode()
        records = {at: one for at, one in self._records.items() if (one.tenant, one.key) != (key.tenant, name)}
        letters = {
            at: one
            for at, one in self._letters.items()
            if one.tenant != key.tenant or (one.key != name and one.student_id != key.student_id)
        }
        published = {
            at: one
            for at, one in self.published.items()
            if (one.tenant, one.student_id) != (key.tenant, key.student_id)
        }
        removed = len(self._records) + len(self._letters) + len(self.published)
        removed -= len(records) + len(letters) + len(published)
        self._records, self._letters, self.published = records, letters, published
        return removed

    async def scrub(self, positions: Sequence[Position]) -> None:
        for position in positions:
            self._records.pop(position.offset, None)

    async def fading(self, now: Micros) -> list[Fading]:
        del now
        return []

    async def purge(self, before: Micros) -> int:
        kept = {
            offset: one for offset, one in self._records.items() if one.received >= before or offset >= self._committed
        }
        letters = {place: letter for place, letter in self._letters.items() if letter.received >= before}
        published = {name: result for name, result in self.published.items() if result.at >= before}
        removed = len(self._records) + len(self._letters) + len(self.published)
        removed -= len(kept) + len(letters) + len(published)
        self._records, self._letters, self.published = kept, letters, published
        return removed

    async def workers(self) -> list[str]:
        """None that this log knows of: the data folder's lock keeps others away."""
        return []

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return
