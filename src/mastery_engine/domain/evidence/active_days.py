"""The days on which a student was active, as a set of bits: the consistency component is computed from them."""

import msgspec

from mastery_engine.domain.moments import Day

ONE_DAY = b"\x01"


class ActiveDays(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A set of days. Bit k of ``bits`` (little-endian) stands for the day ``newest - k``."""

    newest: Day = 0
    bits: bytes = b""

    @staticmethod
    def of(*days: Day) -> "ActiveDays":
        if not days:
            return NO_DAYS
        newest = max(days)
        mask = 0
        for day in days:
            mask |= 1 << (newest - day)
        return packed(newest, mask)

    @property
    def mask(self) -> int:
        return int.from_bytes(self.bits, "little")

    def merge(self, other: "ActiveDays") -> "ActiveDays":
        if not self.bits:
            return other
        if not other.bits or (other.bits == ONE_DAY and self.newest == other.newest):
            return self
        older, newer = (self, other) if self.newest < other.newest else (other, self)
        known = newer.mask
        mask = known | older.mask << newer.newest - older.newest
        return newer if mask == known else packed(newer.newest, mask)

    def with_day(self, day: Day) -> "ActiveDays":
        """With one more day; the same object if it is known."""
        newest, bits = self.newest, self.bits
        if not bits:
            return ActiveDays(day, ONE_DAY)
        if day == newest:
            return self
        mask = int.from_bytes(bits, "little")
        if day > newest:
            newest, mask = day, mask << day - newest | 1
        else:
            known, mask = mask, mask | 1 << newest - day
            if mask == known:
                return self
        return ActiveDays(newest, mask.to_bytes((mask.bit_length() + 7) // 8, "little"))

    def since(self, floor: Day) -> "ActiveDays":
        """Without the days before ``floor``."""
        length = self.newest - floor + 1
        if length <= 0:
            return NO_DAYS
        if len(self.bits) * 8 <= length:
            return self
        return packed(self.newest, self.mask & ((1 << length) - 1))

    def before(self, day: Day) -> "ActiveDays":
        """Without ``day`` and the days after it."""
        if self.newest < day:
            return self
        mask = self.up_to(day - 1)
        return packed(day - 1, mask) if mask else NO_DAYS

    def up_to(self, day: Day) -> int:
        """The set as an int with bit k for ``day - k``, without days later than ``day``."""
        mask = int.from_bytes(self.bits, "little")
        newest = self.newest
        return mask >> newest - day if newest > day else mask << day - newest


NO_DAYS = ActiveDays()


def packed(newest: Day, mask: int) -> ActiveDays:
    """The set of ``mask``, shifted so that its first bit is set: so equal sets are equal values."""
    empty = (mask & -mask).bit_length() - 1
    mask >>= empty
    return ActiveDays(newest - empty, mask.to_bytes((mask.bit_length() + 7) // 8, "little"))
