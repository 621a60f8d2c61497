"""Of many ids those of a week ago leave the document for the cold value beside it, whose filter is made anew."""

from collections.abc import Iterable, Sequence

import numpy as np

from mastery_engine.domain.events.seen import BITS_PER_ID, HASHES, HOT_DAYS, IdsByDay, Seen, are_few
from mastery_engine.domain.ids import SEEN_BYTES
from mastery_engine.domain.moments import Day

_TURNS = np.arange(HASHES, dtype=np.int64)[:, None]


def cooled(seen: Seen, cold: IdsByDay, today: Day, retention_days: int) -> tuple[Seen, IdsByDay]:
    """Where there are many ids, those received more than 7 days ago move to the cold value; else all come back from it.

    Ids that can no longer come again are dropped.
    """
    return cooled_all([(seen, cold, today)], retention_days)[0]


def cooled_all(students: Iterable[tuple[Seen, IdsByDay, Day]], retention_days: int) -> list[tuple[Seen, IdsByDay]]:
    """``cooled`` for several students: a school's morning makes all filters anew."""
    parted = [_parted(seen, cold, today, retention_days) for seen, cold, today in students]
    filters = filters_of([cold for _, cold in parted])
    return [(Seen.of(recent, made), cold) for (recent, cold), made in zip(parted, filters, strict=True)]


def _parted(seen: Seen, cold: IdsByDay, today: Day, retention_days: int) -> tuple[IdsByDay, IdsByDay]:
    held, floor = {**cold}, first_day(today, retention_days)
    for day, ids in seen.recent.items():
        held[day] = held.get(day, b"") + ids
    held = {day: ids for day, ids in sorted(held.items()) if day >= floor}
    if are_few(sum(map(len, held.values()))):
        return held, {}
    recent = {day: ids for day, ids in held.items() if day > today - HOT_DAYS}
    return recent, {day: ids for day, ids in held.items() if day not in recent}


def first_day(today: Day, retention_days: int) -> Day:
    """The first day of which ids are held.

    An id lives for a day more than its event counts: a course's days begin at another time than those of receipts, and
    may have 25 hours.
    """
    return today - retention_days - 1


def filters_of(cold: Sequence[IdsByDay]) -> list[bytes]:
    """For each the filter in which ``Seen.may_be_cold`` finds its ids: in arrays, one filter after the other."""
    packed = [b"".join(ids.values()) for ids in cold]
    whole = b"".join(packed)
    if not whole:
        return packed
    counts = np.array([len(ids) // SEEN_BYTES for ids in packed], np.int64)
    sizes = (counts * BITS_PER_ID + 7) // 8 * 8
    ends = sizes.cumsum()
    starts, modulus = (ends - sizes).repeat(counts), sizes.repeat(counts)
    of_first, of_second = (np.ndarray((len(modulus),), "<u4", whole, start, (SEEN_BYTES,)) for start in (0, 2))
    first, second = (of_first & 0xFFFFFF).astype(np.int64), (of_second >> 8 | 1).astype(np.int64)
    bits = np.zeros(sizes.sum(), np.uint8)
    bits[starts + (first + _TURNS * second) % modulus] = 1
    made = np.packbits(bits, bitorder="little").tobytes()
    return [made[end - size : end] for end, size in zip((ends // 8).tolist(), (sizes // 8).tolist(), strict=True)]
