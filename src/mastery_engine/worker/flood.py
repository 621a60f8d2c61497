"""The rule of the flood guard, without I/O: too many records of a partition cannot be read, so the sender is at fault.

The latest records of a partition are the bits of an int: a bit is set if the record could not be read; the newest
record is the lowest bit.
"""

from collections import Counter
from collections.abc import Collection, Mapping

from mastery_engine.errors import Flooded
from mastery_engine.ports.event_log import Batch, Position

LATEST = 1_000
MOST = 500

_WINDOW = (1 << LATEST) - 1


def flooded(partition: int) -> Flooded:
    """The error for the operator."""
    return Flooded(
        f"At least {MOST} of the last {LATEST:,} records of partition {partition} could not be read. The worker has "
        "stopped, so that it does not dead-letter them all. Correct the sender, then run mastery-engine worker "
        "--after-flood: it dead-letters the records in the log that cannot be read, and continues.",
        partition=partition,
    )


def counted(
    latest: Mapping[int, int], batch: Batch, unreadable: Collection[Position], since: Mapping[int, int]
) -> dict[int, int]:
    """The latest records of each partition after the batch.

    Records below ``since`` don't count, because they were processed before. Raises Flooded.
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
