"""Checkpoints: up to where in the log the documents of a store hold everything."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from mastery_engine.errors import FellBack


class Checkpoint(msgspec.Struct, frozen=True):
    """For each partition of a log, the offset below which the documents hold everything.

    ``server_epoch`` tells one run of the store's servers from another: after a change of it, writes may be gone.
    """

    offsets: dict[int, int]
    server_epoch: str = ""


class Checkpoints(Protocol):
    """The checkpoints of each log, and which of its partitions are flooded. All calls raise Unavailable."""

    async def read(self, log_id: str) -> Checkpoint:
        """The checkpoint of a log, to be read before a batch is folded."""
        ...

    async def move(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], server_epoch: str) -> None:
        """Move the checkpoint from ``starts`` to ``ends``; to be called after the documents are committed.

        Raises FellBack, and moves nothing, where an offset is below its start, or the server's epoch is another than
        ``server_epoch``: what was committed meanwhile may be gone. An offset never moves back.
        """
        ...

    async def clear(self) -> None:
        """Forget the checkpoints of all logs: the documents are to be filled again. Floods stay known."""
        ...

    async def floods(self, log_id: str) -> set[int]:
        """The partitions of a log that are flooded: they are not worked until somebody has looked."""
        ...

    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        """Note that a partition is flooded, or no longer is; durable on return."""
        ...


def check_not_behind(known: Mapping[int, int], starts: Mapping[int, int]) -> None:
    """Raises FellBack where an offset is below the start of what was folded on top of it."""
    for partition, start in starts.items():
        if known.get(partition, 0) < start:
            raise FellBack(
                f"The store holds partition {partition} up to {known.get(partition, 0)} only, not {start}: "
                "it is filled again from the log."
            )
