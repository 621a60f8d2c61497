"""The log of events in memory: one partition, 0."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from uuid import uuid4

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.event_log import (
    MOST_IN_PAGE,
    Batch,
    Position,
    Record,
    RetainedUntil,
    StartOffsets,
    kept_values,
)

PARTITION = 0
IDLE_S = 0.05


class MemoryEventLog:
    """See ``EventLog``. ``batch_size`` is the most that one batch holds."""

    def __init__(self, *, batch_size: int = 500) -> None:
        self._log_id = uuid4().hex
        self._batch_size = batch_size
        self._records: dict[int, Record] = {}
        self._end = 0
        self._committed = 0
        self._appended = asyncio.Event()

    async def log_id(self) -> str:
        return self._log_id

    async def append(
        self,
        events: Sequence[LearningEvent],
        traceparent: str | None = None,
        values: Sequence[bytes | None] | None = None,
    ) -> list[Position]:
        del traceparent
        return [
            self.append_record(event.received, event.tenant, event.student_id.encode(), value, event.event_id)
            for event, value in zip(events, kept_values(events, values), strict=True)
        ]

    def append_record(
        self, received: Micros, tenant: str, key: bytes | None, value: bytes | None, event_id: str
    ) -> Position:
        """Append a record as it is, though it may be no event: dead letters that are redriven come back this way."""
        position = Position(PARTITION, self._end)
        self._records[self._end] = Record(PARTITION, self._end, received, tenant, key, value, event_id)
        self._end += 1
        self._appended.set()
        return position

    async def ends(self) -> dict[int, int]:
        return {PARTITION: self._end}

    async def committed(self) -> dict[int, int]:
        return {PARTITION: self._committed}

    async def batches(self, start_offsets: StartOffsets) -> AsyncIterator[Batch | None]:
        start = (await start_offsets(await self.committed()))[PARTITION]
        while True:
            self._appended.clear()
            present = (self._records[offset] for offset in range(start, self._end) if offset in self._records)
            records = tuple(islice(present, self._batch_size))
            if start < self._end:
                end = records[-1].offset + 1 if records else self._end  # nothing may be left of what was there
                yield Batch(records, {PARTITION: start}, {PARTITION: end})
                start = end
                continue
            yield None
            try:
                await asyncio.wait_for(self._appended.wait(), IDLE_S)
            except TimeoutError:
                continue

    async def commit(self, ends: Mapping[int, int]) -> None:
        self._committed = ends[PARTITION]

    async def events_of(self, key: StudentKey, *, scan: bool = False) -> list[Record] | None:
        del scan
        return [record for record in self._records.values() if _is_of(record, key)]

    async def pages(self) -> AsyncIterator[Sequence[Record]]:
        records = list(self._records.values())
        for start in range(0, len(records), MOST_IN_PAGE):
            yield records[start : start + MOST_IN_PAGE]

    async def erase(self, key: StudentKey) -> int:
        return self._keep({offset: record for offset, record in self._records.items() if not _is_of(record, key)})

    async def scrub(self, positions: Sequence[Position]) -> None:
        for position in positions:
            self._records.pop(position.offset, None)

    async def retained_until(self, now: Micros) -> list[RetainedUntil]:
        del now
        return []

    async def purge(self, before: Micros) -> int:
        return self._keep(
            {
                offset: record
                for offset, record in self._records.items()
                if record.received >= before or offset >= self._committed
            }
        )

    def _keep(self, records: dict[int, Record]) -> int:
        """Keep only these records; how many went."""
        removed = len(self._records) - len(records)
        self._records = records
        return removed

    async def workers(self) -> list[str]:
        """None that this log knows of: the data folder's lock keeps others away."""
        return []


def _is_of(record: Record, key: StudentKey) -> bool:
    return record.tenant == key.tenant and record.key == key.student_id.encode()
