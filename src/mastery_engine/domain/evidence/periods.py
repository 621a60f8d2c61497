"""The daily history grouped by days, weeks or months."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.evidence.history import Point
from mastery_engine.domain.moments import Day, date_of, day_of_date
from mastery_engine.domain.rules import Rules

Aggregation: TypeAlias = Literal["daily", "weekly", "monthly"]


class Period(msgspec.Struct, frozen=True):
    """The mean score of a period's daily points; ``start`` is its first day."""

    start: Day
    score: float
    level: str


def periods(points: Sequence[Point], aggregation: Aggregation, rules: Rules) -> list[Period]:
    """The periods with at least one point, oldest first: days, weeks from Monday, or months."""
    if aggregation == "daily":
        return [Period(point.day, point.score, rules.levels[point.rank].name) for point in points]
    grouped: dict[Day, list[float]] = defaultdict(list)
    for point in points:
        grouped[_start(point.day, aggregation)].append(point.score)
    means = {start: sum(scores) / len(scores) for start, scores in grouped.items()}
    return [Period(start, mean, rules.levels[rules.level_index(mean)].name) for start, mean in means.items()]


def _start(day: Day, aggregation: Aggregation) -> Day:
    when = date_of(day)
    return day - when.weekday() if aggregation == "weekly" else day_of_date(when.replace(day=1))
