"""The flood guard, pure: so much of a partition cannot be read that the topic is at fault, not its records.

A partition's latest records are the bits of a number: set where one could not be read, the newest lowest.
"""

from collections import Counter
from collections.abc import Collection, Mapping

from mastery_engine.errors import Flooded
from mastery_engine.ports.event_log import Batch, Position

LATEST = 1_000
MOST = 500

_WINDOW = (1 << LATEST) - 1


def flooded(partition: int) -> Flooded:
    """What an operator is told."""
    return Flooded(
        f"Of partition {partition}, {MOST} or more of the last {LATEST:,} records could not be read: the worker has "
        "stopped before it dead-letters them all. Mend what sends them; then mastery-engine worker --after-flood "
        "dead-letters what the log holds already, and goes on.",
        partition=partition,
    )


def counted(
    latest: Mapping[int, int], batch: Batch, unreadable: Collection[Position], since: Mapping[int, int]
) -> dict[int, int]:
    """The latest records of each partition once the batch is worked.

    Records below ``since`` don't count: they were worked before. Raises Flooded.
    """
    after = dict(latest)
    if not unreadable and all(start >= since.get(partition, 0) for partition, start in batch.starts.items()):
        for partition, number in Counter([record.partition for record in batch.records]).items():
            after[partition] = after.get(partition, 0) << min(number, LATEST) & _WINDOW
        return after
    for record in batch.records:
        partition = record.partition
        if record.offset < since.get(partition, 0):
            continue
        is_unreadable = Position(partition, record.offset) in unreadable
        bits = after[partition] = (after.get(partition, 0) << 1 | is_unreadable) & _WINDOW
        if is_unreadable and bits.bit_count() >= MOST:
            raise flooded(partition)
    return after
