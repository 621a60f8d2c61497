"""The flood guard of a worker: it counts by the rule in ``flood``, and stores which partitions are flooded."""

from collections.abc import Collection, Mapping

from mastery_engine.errors import Flooded
from mastery_engine.ports.checkpoints import Checkpoints
from mastery_engine.ports.event_log import Batch, EventLog, Position
from mastery_engine.worker.flood import counted, flooded


class FloodGuard:
    """Counts the latest records of each partition that this worker has processed itself."""

    def __init__(self, checkpoints: Checkpoints, events: EventLog) -> None:
        self._checkpoints = checkpoints
        self._events = events
        self._after_flood = False
        self._latest: dict[int, int] = {}
        self._worked: dict[int, int] = {}
        self._unguarded: dict[int, int] = {}

    def pass_over_flood(self) -> None:
        """Accept the flood: records that are in the log when the work begins are not counted."""
        self._after_flood = True

    async def begin(self, log_id: str) -> None:
        """After an accepted flood, count from the log's end on."""
        if self._after_flood:
            self._unguarded = await self._events.ends()
            for partition in await self._checkpoints.floods(log_id):
                await self._checkpoints.set_flood(log_id, partition, flooded=False)
            self._after_flood = False

    async def counted(
        self, log_id: str, batch: Batch, unreadable: Collection[Position], published_before: Mapping[int, int]
    ) -> dict[int, int]:
        """The latest records after this batch. Raises Flooded, after the store has recorded it."""
        since = {
            partition: max(published_before.get(partition, 0), self._unguarded.get(partition, 0))
            for partition in batch.starts
        }
        try:
            return counted(self._latest, batch, unreadable, since)
        except Flooded as flood:
            await self._checkpoints.set_flood(log_id, flood.partition, flooded=True)
            raise

    def note(self, latest: dict[int, int], batch: Batch) -> None:
        """Set the latest records after a batch was processed."""
        self._latest = latest
        self._worked |= batch.ends

    def forget(self, committed: Mapping[int, int]) -> None:
        """Drop the counts of partitions that another worker has processed meanwhile."""
        for partition, offset in committed.items():
            if offset != self._worked.get(partition):
                self._latest.pop(partition, None)

    async def check(self, log_id: str, partitions: Collection[int]) -> None:
        """Raises Flooded if one of the partitions was flooded and no operator has accepted it since."""
        for partition in sorted((await self._checkpoints.floods(log_id)) & set(partitions)):
            raise flooded(partition)
