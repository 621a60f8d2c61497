"""Time zones: a day is a day of the course's time zone, and lasts 23, 24 or 25 hours; a few were skipped whole.

A zone is a table of moments at which its clocks changed, made once from the IANA time zone database. So which day a
moment is of follows from the table alone, and the fold reads no file.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime
from difflib import get_close_matches
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from mastery_engine.domain.moments import DAY, SECOND, Day, Micros
from mastery_engine.errors import InvalidInput

NO_PLACES = frozenset(("Factory", "localtime"))  # what a machine is set to: another on another replica
LAST_DAY = 2**16 - 1  # days are stored in two bytes: until the year 2149
_PROBE_S = 6 * 86_400  # no two changes of any zone since 1970 are nearer to one another (they are 6.96 days apart)


class Zone(msgspec.Struct, frozen=True, gc=False):
    """A time zone by its IANA name.

    ``offsets`` are what its clocks are ahead of UTC, in microseconds: the first until ``changes[0]``, the next from
    there until ``changes[1]``, and so on.
    """

    name: str
    changes: tuple[Micros, ...] = ()
    offsets: tuple[Micros, ...] = (0,)

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Zone({self.name!r})"

    @property
    def differs_from_utc(self) -> bool:
        """Whether its clocks were ever ahead of UTC or behind it."""
        return any(self.offsets)

    def offset_at(self, at: Micros) -> Micros:
        """What the clocks are ahead of UTC at a moment."""
        return self.offsets[bisect_right(self.changes, at)]

    def day_of(self, at: Micros) -> Day:
        """The day of a moment; it never falls where moments rise."""
        return (at + self.offsets[bisect_right(self.changes, at)]) // DAY

    def start_of(self, day: Day) -> Micros:
        """The first moment of a day; of a day that was skipped, that of the day after it."""
        midnight = day * DAY
        place = bisect_right(self.changes, midnight - DAY)  # no clock is so far ahead: the day begins later than this
        start = midnight - self.offsets[place]
        while place < len(self.changes) and start >= self.changes[place]:
            start = max(midnight - self.offsets[place + 1], self.changes[place])
            place += 1
        return start

    def end_of(self, day: Day) -> Micros:
        """The last second of a day."""
        return self.start_of(day + 1) - SECOND


UTC = Zone("UTC")


@cache  # there are about 600 names
def zone_named(name: str) -> Zone:
    """The zone of an IANA name. Raises InvalidInput, which suggests names like it, if there is none."""
    if name not in _names():
        raise InvalidInput(f"{name[:100]!r} is no time zone{_instead_of(name)}", field="time_zone")
    info = ZoneInfo(name)
    changes, offsets = [], [_offset(info, 0)]
    for at, ahead in _changes(info):
        # Where clocks went back over a midnight that had struck, they go back here when it strikes again: so the day
        # before does not return for a part of an hour. The last were those of Newfoundland and Labrador, in 2010.
        midnight = (at + offsets[-1]) // DAY * DAY
        changes.append(midnight - ahead if at + ahead < midnight < at + offsets[-1] else at)
        offsets.append(ahead)
    return Zone(name, tuple(changes), tuple(offsets))


def _changes(info: ZoneInfo) -> Iterator[tuple[Micros, Micros]]:
    """The moments at which a zone's clocks change, to the second, and what they are ahead of UTC from then on."""
    before = _offset(info, 0)
    for start in range(0, LAST_DAY * 86_400, _PROBE_S):
        end = start + _PROBE_S
        ahead = _offset(info, end)
        if ahead != before:
            yield _first_at(info, ahead, range(start, end)) * SECOND, ahead
            before = ahead


def _first_at(info: ZoneInfo, ahead: Micros, seconds: range) -> int:
    """The first of these seconds with an offset that holds until their end."""
    return seconds.start + bisect_left(seconds, True, key=lambda second: _offset(info, second) == ahead)


def _offset(info: ZoneInfo, second: int) -> Micros:
    ahead = datetime.fromtimestamp(second, info).utcoffset()
    return round(ahead.total_seconds()) * SECOND if ahead else 0


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones()) - NO_PLACES


def _instead_of(name: str) -> str:
    """Names that may be meant, in a sentence."""
    plain = {known.casefold(): known for known in sorted(_names())}
    cities = {known.rsplit("/", 1)[-1].casefold(): known for known in sorted(_names())}
    wanted = name[:100].strip().replace(" ", "_").casefold()
    if wanted in plain:
        return f": it is spelled {plain[wanted]}."
    near = [plain[one] for one in get_close_matches(wanted, plain, n=3, cutoff=0.8)]
    near += [cities[one] for one in get_close_matches(wanted.rsplit("/", 1)[-1], cities, n=2, cutoff=0.8)]
    if near:
        return f": did you mean {' or '.join(dict.fromkeys(near[:3]))}?"
    return ". Give an IANA name, such as Europe/Berlin or America/Los_Angeles."
