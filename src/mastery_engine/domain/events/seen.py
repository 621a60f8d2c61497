"""The ids of the events that a document has applied: a repeat counts once for the whole retention.

A document holds the ids of a student's events, 6 bytes each. Of a student with many it holds only those received in the
last 7 days, to stay small. Older ids are cold then: they are stored in a second value beside the document, which has a
small Bloom filter of them, so that the cold value is read only if a repeat is possible.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import TypeAlias

import msgspec

from mastery_engine.domain.ids import SEEN_BYTES
from mastery_engine.domain.moments import Day

MOST_HELD = 400  # ids; of four or five events a day in 90 days. To search them takes less than to ask a filter
HOT_DAYS = 7
BITS_PER_ID = 10
MANY = 16  # making a set of a few hundred ids takes as long as searching for sixteen
HASHES = 5  # with 10 bits and 5 hashes an id, 1 of 100 unknown ids reads the cold value in vain (Bloom 1970)
EVERY = b"\xff"  # in the place of a filter that is not made yet: any id may be cold
_DAY = Struct(">HI")  # a day of receipt, and how many ids came on it

IdsByDay: TypeAlias = dict[Day, bytes]


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The ids in the document, and the filter of the cold ones.

    ``ids`` are those that are not cold, by the day of their receipt; ``days`` has the days, rising, each with how many
    of the ids are its.
    """

    days: bytes = b""
    ids: bytes = b""
    cold_filter: bytes = b""

    @staticmethod
    def of(recent: IdsByDay, cold_filter: bytes = b"") -> "Seen":
        """With ids by the day of their receipt."""
        rising = sorted(day for day, ids in recent.items() if ids)
        days = b"".join([_DAY.pack(day, len(recent[day]) // SEEN_BYTES) for day in rising])
        return Seen(days, b"".join([recent[day] for day in rising]), cold_filter)

    @property
    def recent(self) -> IdsByDay:
        """The ids by the day of their receipt."""
        found, start = {}, 0
        for day, count in _DAY.iter_unpack(self.days):
            found[day] = self.ids[start : start + count * SEEN_BYTES]
            start += count * SEEN_BYTES
        return found

    def holds(self, seen_hash: bytes) -> bool:
        """Whether an id is among those in the document."""
        return _is_in(self.ids, seen_hash)

    def may_be_cold(self, seen_hash: bytes) -> bool:
        """False if an id is certainly not among the cold ids."""
        if not self.cold_filter:
            return False
        bits = self.cold_filter
        for place in _places(seen_hash, len(bits) * 8):  # noqa: SIM110  twice as fast as all()
            if not bits[place >> 3] >> (place & 7) & 1:
                return False
        return True

    def is_due(self, today: Day, *, is_busy: bool = False) -> bool:
        """Whether there are so many ids that old ones become cold; in a busy hour they may stay twice as long.

        So it is, too, where the filter is to be made anew. Where ids are cold, others join them each day, or the cold
        ones come back, when they are few enough.
        """
        days, cold_filter = self.days, self.cold_filter
        if not cold_filter and are_few(len(self.ids)):
            return False
        if cold_filter == EVERY:
            return True
        return bool(days) and (days[0] << 8 | days[1]) <= today - (2 * HOT_DAYS if is_busy else HOT_DAYS)

    def since(self, floor: Day) -> "Seen":
        """Without the ids in the document that were received before the day ``floor``."""
        days = self.days
        if not days or (days[0] << 8 | days[1]) >= floor:
            return self
        return Seen.of({day: ids for day, ids in self.recent.items() if day >= floor}, self.cold_filter)


def are_few(size: int) -> bool:
    """Whether a document may hold ids of so many bytes, however old they are."""
    return size <= MOST_HELD * SEEN_BYTES


def with_ids(seen: Seen, new: IdsByDay) -> Seen:
    """With new ids, by the day of their receipt."""
    if len(new) == 1:
        ((day, ids),) = new.items()
        days, count = seen.days, len(ids) // SEEN_BYTES
        newest, held = _DAY.unpack_from(days, len(days) - _DAY.size) if days else (0, 0)
        if day == newest and held:
            days, count = days[: -_DAY.size], held + count
        if day >= newest:
            return Seen(days + _DAY.pack(day, count), seen.ids + ids, seen.cold_filter)
    recent = seen.recent
    for day, ids in new.items():
        recent[day] = recent.get(day, b"") + ids
    return Seen.of(recent, seen.cold_filter)


def holds(ids: IdsByDay, seen_hash: bytes) -> bool:
    """Whether an id is among the ids of any day."""
    return _is_in(b"".join(ids.values()), seen_hash)


def _is_in(ids: bytes, seen_hash: bytes) -> bool:
    place = ids.find(seen_hash)
    while place >= 0:
        if place % SEEN_BYTES == 0:  # not across the end of one and the start of the next
            return True
        place = ids.find(seen_hash, place + 1)
    return False


def each(ids: bytes) -> Iterator[bytes]:
    """The ids that stand one after the other."""
    return (ids[start : start + SEEN_BYTES] for start in range(0, len(ids), SEEN_BYTES))


def held_among(ids: bytes, hashes: Iterable[bytes]) -> set[bytes]:
    """Those of ``hashes`` that are among ids: for ``MANY`` quicker than one by one."""
    return {*hashes} & {*each(ids)}


def _places(seen_hash: bytes, size: int) -> Iterator[int]:
    """The bits that a filter of ``size`` bits sets for an id (Kirsch and Mitzenmacher 2006: two hashes make all)."""
    first, second = int.from_bytes(seen_hash[:3], "little"), int.from_bytes(seen_hash[3:], "little") | 1
    return ((first + turn * second) % size for turn in range(HASHES))
