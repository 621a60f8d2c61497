"""Ids of a week ago leave the document for the cold value beside it, and the filter of the cold ids is made anew."""

import numpy as np

from mastery_engine.domain.events.seen import BITS_PER_ID, HASHES, HOT_DAYS, IdsByDay, Seen
from mastery_engine.domain.ids import SEEN_BYTES
from mastery_engine.domain.moments import Day

_TURNS = np.arange(HASHES, dtype=np.int64)[:, None]


def cooled(seen: Seen, cold: IdsByDay, today: Day, retention_days: int) -> tuple[Seen, IdsByDay]:
    """Moves ids received more than 7 days ago to the cold value, and drops those that can no longer come again.

    An id lives for a day more than its event counts: a course's days begin at another time than those of receipts, and
    may have 25 hours.
    """
    moved, held = dict(cold), seen.recent
    for day, ids in held.items():
        if day <= today - HOT_DAYS:
            moved[day] = moved.get(day, b"") + ids
    moved = {day: ids for day, ids in sorted(moved.items()) if day >= today - retention_days - 1}
    recent = {day: ids for day, ids in held.items() if day > today - HOT_DAYS}
    return Seen.of(recent, filter_of(moved)), moved


def filter_of(cold: IdsByDay) -> bytes:
    """The filter in which ``Seen.may_be_cold`` finds these ids: in arrays, as a school's morning makes all anew."""
    packed = b"".join(cold.values())
    count = len(packed) // SEEN_BYTES
    if not count:
        return b""
    size = (count * BITS_PER_ID + 7) // 8 * 8
    of_first, of_second = (np.ndarray((count,), "<u4", packed, start, (SEEN_BYTES,)) for start in (0, 2))
    first, second = (of_first & 0xFFFFFF).astype(np.int64), (of_second >> 8 | 1).astype(np.int64)
    bits = np.zeros(size, np.uint8)
    bits[(first + _TURNS * second) % size] = 1
    return np.packbits(bits, bitorder="little").tobytes()
