"""The ids of the events that a document has applied: a repeat counts once for the whole retention.

To keep the document small, it holds only the ids received in the last 7 days, 8 bytes each. Older ids are cold: they
are stored in a second value beside the document. The document has a small Bloom filter of them, so that the cold value
is read only if a repeat is possible.
"""

from collections.abc import Iterable, Iterator
from sys import byteorder
from typing import TypeAlias

import msgspec

from mastery_engine.domain.ids import ID_BYTES
from mastery_engine.domain.moments import Day

HOT_DAYS = 7
BITS_PER_ID = 10
MANY = 8  # making a set of a few hundred ids takes as long as searching for eight
HASHES = 5  # with 10 bits and 5 hashes an id, 1 of 100 unknown ids reads the cold value in vain (Bloom 1970)

IdsByDay: TypeAlias = dict[Day, bytes]


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The ids in the document: ``recent`` by the day of receipt, and the filter of the cold ones."""

    recent: IdsByDay = {}
    cold_filter: bytes = b""

    def holds(self, id_hash: bytes) -> bool:
        """Whether an id is among the recent ids."""
        return holds(self.recent, id_hash)

    def may_be_cold(self, id_hash: bytes) -> bool:
        """False if an id is certainly not among the cold ids."""
        if not self.cold_filter:
            return False
        bits = self.cold_filter
        for place in _places(id_hash, len(bits) * 8):  # noqa: SIM110  twice as fast as all(), and this is the hot path
            if not bits[place >> 3] >> (place & 7) & 1:
                return False
        return True

    def is_due(self, today: Day, *, is_busy: bool = False) -> bool:
        """Whether recent ids are old enough to become cold; in a busy hour they may stay twice as long."""
        days = 2 * HOT_DAYS if is_busy else HOT_DAYS
        return bool(self.recent) and min(self.recent) <= today - days


def with_ids(seen: Seen, new: IdsByDay) -> Seen:
    """With new ids, by the day of their receipt."""
    recent = {**seen.recent}
    for day, ids in new.items():
        recent[day] = recent.get(day, b"") + ids
    return Seen(recent, seen.cold_filter)


def holds(ids: IdsByDay, id_hash: bytes) -> bool:
    """Whether an id is among the ids of any day."""
    packed = b"".join(ids.values())
    place = packed.find(id_hash)
    while place >= 0:
        if place % ID_BYTES == 0:  # not across the end of one and the start of the next
            return True
        place = packed.find(id_hash, place + 1)
    return False


def held_among(ids: IdsByDay, hashes: Iterable[bytes]) -> set[bytes]:
    """Those of ``hashes`` that are among the ids of any day: for ``MANY`` quicker than one by one."""
    known = {number for packed in ids.values() for number in memoryview(packed).cast("Q")}
    return {hashed for hashed in hashes if int.from_bytes(hashed, byteorder) in known}


def _places(id_hash: bytes, size: int) -> Iterator[int]:
    """The bits that a filter of ``size`` bits sets for an id (Kirsch and Mitzenmacher 2006: two hashes make all)."""
    first, second = int.from_bytes(id_hash[:4], "little"), int.from_bytes(id_hash[4:], "little") | 1
    return ((first + turn * second) % size for turn in range(HASHES))
