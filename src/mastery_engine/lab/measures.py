"""What a bench measures: medians with their spread, beside a goal."""

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


class Report(msgspec.Struct, frozen=True):
    """A run of the bench, and the machine it ran on."""

    machine: str
    python: str
    sqlite: str
    lines: list[Line]


def at_most(part: str, what: str, unit: str, values: Sequence[float], bound: float) -> Line:
    """A figure whose median should not be above the bound."""
    return _line(part, what, unit, values, f"at most {bound:,g}", median(values) <= bound)


def at_least(part: str, what: str, unit: str, values: Sequence[float], bound: float) -> Line:
    """A figure whose median should not be below the bound."""
    return _line(part, what, unit, values, f"at least {bound:,g}", median(values) >= bound)


def shown(part: str, what: str, unit: str, values: Sequence[float]) -> Line:
    """A figure without a goal."""
    return _line(part, what, unit, values)


def ratios(ours: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Ours to the floor, run by run: both were measured by turns."""
    return [one / other for one, other in zip(ours, floor, strict=True)]


def _line(part: str, what: str, unit: str, values: Sequence[float], goal: str = "", met: bool | None = None) -> Line:
    return Line(part, what, unit, round(median(values), 3), round(min(values), 3), round(max(values), 3), goal, met)
