"""Checkpoints in memory."""

from collections.abc import Mapping

from mastery_engine.ports.checkpoints import Checkpoint, check_not_behind


class MemoryCheckpoints:
    """See ``Checkpoints``."""

    def __init__(self) -> None:
        self._offsets: dict[str, dict[int, int]] = {}
        self._floods: set[tuple[str, int]] = set()

    async def read(self, log_id: str) -> Checkpoint:
        return Checkpoint(dict(self._offsets.get(log_id, {})))

    async def move(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], server_epoch: str) -> None:
        del server_epoch  # memory does not come back without its last writes
        offsets = self._offsets.setdefault(log_id, {})
        check_not_behind(offsets, starts)
        offsets |= {partition: max(offsets.get(partition, 0), end) for partition, end in ends.items()}

    async def clear(self) -> None:
        self._offsets.clear()

    async def floods(self, log_id: str) -> set[int]:
        return {partition for flooded_log, partition in self._floods if flooded_log == log_id}

    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        if flooded:
            self._floods.add((log_id, partition))
        else:
            self._floods.discard((log_id, partition))
