"""What a bench measures: medians with their spread, beside a goal."""

from collections.abc import Sequence
from statistics import median

import msgspec

from mastery_engine.lab.bench.goals import GOALS

FAR = 20.0
UNMEASURED = "to be measured"


class Line(msgspec.Struct, frozen=True):
    """One measured thing. ``goal`` is in words; ``met`` is None where there is no goal for it.

    ``far``: a ratio that misses its goal by a factor of twenty, as no noise does. ``over_time``: (second, value).
    """

    part: str
    what: str
    unit: str
    median: float
    low: float
    high: float
    goal: str = ""
    met: bool | None = None
    far: bool = False
    over_time: list[tuple[float, float]] = []


class Report(msgspec.Struct, frozen=True):
    """A run of the bench, and the machine it ran on."""

    machine: str
    python: str
    sqlite: str
    lines: list[Line]


def judged(part: str, what: str, unit: str, values: Sequence[float], goal: str) -> Line:
    """A figure whose median has a goal: that of ``GOALS`` by this name."""
    bound, middle = GOALS[part][goal], median(values)
    far = unit == "" and bound.times_off(middle) > FAR
    return _line(part, what, unit, values, bound.words, bound.is_met(middle), far)


def shown(part: str, what: str, unit: str, values: Sequence[float]) -> Line:
    """A figure without a goal."""
    return _line(part, what, unit, values)


def unmeasured(part: str, why: str) -> Line:
    """A part that could not be measured here, and why: its goals are missed."""
    return Line(part, why, "", 0.0, 0.0, 0.0, UNMEASURED, met=False, far=True)


def ratios(ours: Sequence[float], floor: Sequence[float]) -> list[float]:
    """Ours to the floor, run by run: both were measured by turns."""
    return [our / other for our, other in zip(ours, floor, strict=True)]


def _line(
    part: str,
    what: str,
    unit: str,
    values: Sequence[float],
    goal: str = "",
    met: bool | None = None,
    far: bool = False,
) -> Line:
    middle, low, high = (round(figure, 3) for figure in (median(values), min(values), max(values)))
    return Line(part, what, unit, middle, low, high, goal, met, far)
