"""Another platform's topic in memory, with one partition."""

import asyncio
from collections.abc import Mapping, Sequence

from mastery_engine.ports.event_log import Batch, Record

WAIT_S = 0.01


class MemoryPlatformTopic:
    """See ``PlatformTopic``. ``records`` are those of partition 0, at the offsets of their places."""

    name = "memory"

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self.records = list(records)
        self.committed = 0
        self._next: int | None = None

    async def read(self) -> Batch | None:
        start = self.committed if self._next is None else self._next
        self._next = len(self.records)
        if start == self._next:
            await asyncio.sleep(WAIT_S)
            return None
        return Batch(tuple(self.records[start : self._next]), {0: start}, {0: self._next})

    async def commit(self, ends: Mapping[int, int]) -> None:
        self.committed = ends[0]

    async def lag(self) -> int:
        return len(self.records) - self.committed

    async def close(self) -> None:
        self._next = None
