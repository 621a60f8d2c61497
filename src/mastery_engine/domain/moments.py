"""Moments are whole microseconds since 1970-01-01 UTC; days are whole days since then."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

import msgspec

Micros: TypeAlias = int
Day: TypeAlias = int

SECOND: Micros = 1_000_000
MINUTE: Micros = 60 * SECOND
DAY: Micros = 86_400 * SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

NEVER: Micros = -1
EARLIEST: Micros = 0
LATEST: Micros = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _MICROSECOND


class DaySpan(msgspec.Struct, frozen=True):
    """Two days: what is said of them is from the end of the first to the end of the last."""

    first: Day
    last: Day


def day_of(at: Micros) -> Day:
    """The UTC day of a moment."""
    return at // DAY


def moment_of(when: datetime) -> Micros:
    """The moment of a datetime that has a time zone, to the microsecond."""
    return (when - _EPOCH) // _MICROSECOND


def day_of_date(when: date) -> Day:
    return when.toordinal() - _EPOCH_ORDINAL


def date_of(day: Day) -> date:
    return date.fromordinal(day + _EPOCH_ORDINAL)


def iso_date(day: Day) -> str:
    """``2026-01-14``."""
    return date_of(day).isoformat()


def rfc3339(at: Micros) -> str:
    """A moment as ``2026-01-14T10:30:00Z``, with microseconds only if they are not 0."""
    seconds, micros = divmod(at, SECOND)
    return f"{_to_the_second(seconds)}.{micros:06d}Z" if micros else f"{_to_the_second(seconds)}Z"


@lru_cache(maxsize=1_024)  # most moments formatted are recent
def _to_the_second(seconds: int) -> str:
    return (_NAIVE_EPOCH + timedelta(seconds=seconds)).isoformat()
