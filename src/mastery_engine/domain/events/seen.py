"""Which events a document has applied: twice is once for the whole retention, and the document stays small.

Ids of the last 7 days of receipts stand in the document, 8 bytes each. Older ones are cold: they live in a second value
beside the document. A small Bloom filter of them stays in it, so that they are read only where they may matter.
"""

from collections.abc import Iterator, Sequence
from sys import byteorder
from typing import TypeAlias

import msgspec

from mastery_engine.domain.ids import ID_BYTES
from mastery_engine.domain.moments import Day

HOT_DAYS = 7
BITS_PER_ID = 10
MANY = 8  # to make a set of a few hundred ids takes as long as to look for eight
HASHES = 5  # 10 bits and 5 hashes an id: 1 in 100 unknown ids asks for the cold value in vain (Bloom 1970)

IdsByDay: TypeAlias = dict[Day, bytes]


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The ids in the document: ``recent`` by the day of receipt, and the filter of the cold ones."""

    recent: IdsByDay = {}
    cold_filter: bytes = b""

    def holds(self, id_hash: bytes) -> bool:
        """Whether an id is among the recent ones."""
        return holds(self.recent, id_hash)

    def may_be_cold(self, id_hash: bytes) -> bool:
        """False where an id is certainly not among the cold ones."""
        if not self.cold_filter:
            return False
        marks = self.cold_filter
        for place in _places(id_hash, len(marks) * 8):  # noqa: SIM110  see ``holds``
            if not marks[place >> 3] >> (place & 7) & 1:
                return False
        return True

    def is_due(self, today: Day) -> bool:
        """Whether recent ids are old enough to become cold."""
        return bool(self.recent) and min(self.recent) <= today - HOT_DAYS


def with_ids(seen: Seen, new: IdsByDay) -> Seen:
    """With new ids, by the day of their receipt."""
    recent = {**seen.recent}
    for day, ids in new.items():
        recent[day] = recent.get(day, b"") + ids
    return Seen(recent, seen.cold_filter)


def cooled(seen: Seen, cold: IdsByDay, today: Day, retention_days: int) -> tuple[Seen, IdsByDay]:
    """With the ids of more than 7 days ago moved to the cold value, and those older than the retention gone."""
    moved = dict(cold)
    for day, ids in seen.recent.items():
        if day <= today - HOT_DAYS:
            moved[day] = moved.get(day, b"") + ids
    moved = {day: ids for day, ids in sorted(moved.items()) if day >= today - retention_days}
    recent = {day: ids for day, ids in seen.recent.items() if day > today - HOT_DAYS}
    return Seen(recent, _filter_of(moved)), moved


def holds(ids: IdsByDay, id_hash: bytes) -> bool:
    """Whether an id is among those of any day."""
    for packed in ids.values():  # noqa: SIM110  twice as fast as any(), and this is the hot path
        if id_hash in packed and _stands_in(packed, id_hash):
            return True
    return False


def held_among(ids: IdsByDay, hashes: Sequence[bytes]) -> set[bytes]:
    """Those of some ids that are among those of any day: a few are looked for one by one, many in a set."""
    if len(hashes) < MANY:
        return {one for one in hashes if holds(ids, one)}
    known = {number for packed in ids.values() for number in memoryview(packed).cast("Q")}
    return {one for one in hashes if int.from_bytes(one, byteorder) in known}


def _stands_in(packed: bytes, id_hash: bytes) -> bool:
    """Whether the bytes found are an id, and not the end of one and the beginning of the next."""
    place = packed.find(id_hash)
    while place >= 0:
        if place % ID_BYTES == 0:
            return True
        place = packed.find(id_hash, place + 1)
    return False


def _places(id_hash: bytes, size: int) -> Iterator[int]:
    """Where a filter of ``size`` bits marks an id (Kirsch and Mitzenmacher 2006: two hashes make all)."""
    first, second = int.from_bytes(id_hash[:4], "little"), int.from_bytes(id_hash[4:], "little") | 1
    return ((first + turn * second) % size for turn in range(HASHES))


def _filter_of(cold: IdsByDay) -> bytes:
    count = sum(map(len, cold.values())) // ID_BYTES
    if not count:
        return b""
    size = (count * BITS_PER_ID + 7) // 8 * 8
    marks = bytearray(size // 8)
    for ids in cold.values():
        for start in range(0, len(ids), ID_BYTES):
            for place in _places(ids[start : start + ID_BYTES], size):
                marks[place >> 3] |= 1 << (place & 7)
    return bytes(marks)
