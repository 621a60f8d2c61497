"""The flood guard of a worker: it counts by ``flood``, and has the store remember which partitions are flooded."""

from collections.abc import Collection, Mapping

from mastery_engine.errors import Flooded
from mastery_engine.ports.event_log import Batch, Position
from mastery_engine.services import Mastery
from mastery_engine.worker.flood import counted, flooded


class FloodGuard:
    """Knows each partition's latest records, as far as this worker worked them itself."""

    def __init__(self, mastery: Mastery, *, after_flood: bool) -> None:
        """``after_flood``: somebody has looked, and what the log holds by now is not counted."""
        self._mastery = mastery
        self._after_flood = after_flood
        self._latest: dict[int, int] = {}
        self._worked: dict[int, int] = {}
        self._unguarded: dict[int, int] = {}

    async def begin(self, log_id: str) -> None:
        """After a flood, look again from the log's end on."""
        if self._after_flood:
            self._unguarded = await self._mastery.log.ends()
            for partition in await self._mastery.store.floods(log_id):
                await self._mastery.store.set_flood(log_id, partition, flooded=False)
            self._after_flood = False

    async def counted(
        self, log_id: str, batch: Batch, unreadable: Collection[Position], published_before: Mapping[int, int]
    ) -> dict[int, int]:
        """The latest records after this batch. Raises Flooded, which the store remembers."""
        since = {
            partition: max(published_before.get(partition, 0), self._unguarded.get(partition, 0))
            for partition in batch.starts
        }
        try:
            return counted(self._latest, batch, unreadable, since)
        except Flooded as flood:
            await self._mastery.store.set_flood(log_id, flood.partition, flooded=True)
            raise

    def note(self, latest: dict[int, int], batch: Batch) -> None:
        """The batch was worked, and these are the latest records since."""
        self._latest = latest
        self._worked |= batch.ends

    def forget(self, committed: Mapping[int, int]) -> None:
        """A partition that another worker had meanwhile has other latest records than those counted here."""
        for partition, offset in committed.items():
            if offset != self._worked.get(partition):
                self._latest.pop(partition, None)


async def check_floods(mastery: Mastery, log_id: str, partitions: Collection[int]) -> None:
    """Raises Flooded where one of the partitions was flooded and nobody has looked since."""
    for partition in sorted((await mastery.store.floods(log_id)) & set(partitions)):
        raise flooded(partition)
