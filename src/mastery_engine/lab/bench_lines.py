"""One measured thing: a line of the bench's table."""

from collections.abc import Sequence
from statistics import median

import msgspec


class Line(msgspec.Struct, frozen=True):
    """One measured thing. ``goal`` is in words; ``met`` is None where there is no goal for it."""

    part: str
    what: str
    unit: str
    median: float
    low: float
    high: float
    goal: str = ""
    met: bool | None = None


def line(
    part: str,
    what: str,
    unit: str,
    values: Sequence[float],
    goal: str = "",
    bound: float | None = None,
    *,
    most: bool = True,
) -> Line:
    """The median of some runs, with the lowest and the highest; ``bound`` is the most it may be, or the least."""
    middle = median(values)
    met = None if bound is None else (middle <= bound if most else middle >= bound)
    return Line(part, what, unit, round(middle, 3), round(min(values), 3), round(max(values), 3), goal, met)
