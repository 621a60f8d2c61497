"""The forecast: the distribution of the mastery score on each of the next days.

What is known already is computed exactly: the score as it ages where nothing new comes. What is likely, how far work
will move it from there, is a model's. No day's distribution is wider than that of a day after it: the last day, which
was asked for, rules.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import inf

import msgspec

from mastery_engine.domain.forecast_model import LEVELS, LOWER, MEDIAN, UPPER, ForecastModel, Row, group_of
from mastery_engine.domain.history import STABLE_PER_WEEK, Trend
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.situation import aged, ahead, due_ahead, situation
from mastery_engine.domain.student import Student

LONGEST = 30
CLOSE = 0.05
PASS_MARK = 0.50


class DayAhead(msgspec.Struct, frozen=True, gc=False):
    """One day's distribution: its quantiles at ``LEVELS``, rising, in [0, 1]."""

    day: Day
    quantiles: tuple[float, ...]

    @property
    def score(self) -> float:
        """The median."""
        return self.quantiles[MEDIAN]

    @property
    def lower(self) -> float:
        """The 10% point."""
        return self.quantiles[LOWER]

    @property
    def upper(self) -> float:
        """The 90% point."""
        return self.quantiles[UPPER]

    def at_most(self, score: float) -> float:
        """The probability of a score of at most this one; between quantiles it is linear."""
        place = bisect_right(self.quantiles, score)
        return self._between(place, score)

    def below(self, score: float) -> float:
        """The probability of a score below this one."""
        place = bisect_left(self.quantiles, score)
        return self._between(place, score)

    def close(self) -> float:
        """The probability of a score within ``CLOSE`` of the median."""
        return self.at_most(self.score + CLOSE) - self.below(self.score - CLOSE)

    def _between(self, place: int, score: float) -> float:
        if place == 0:
            return 0.0
        if place == len(LEVELS):
            return 1.0
        before, after = self.quantiles[place - 1], self.quantiles[place]
        return LEVELS[place - 1] + (LEVELS[place] - LEVELS[place - 1]) * (score - before) / (after - before)


class Forecast(msgspec.Struct, frozen=True, gc=False):
    """The next days, nearest first.

    ``confidence`` is the probability that the score on the last of them is within 0.05 of the prediction;
    ``intervention_needed`` says that it is more likely than not below 0.50 then, or a level lower than now.
    """

    now: float
    days: tuple[DayAhead, ...]
    confidence: float
    trend: Trend
    intervention_needed: bool

    @property
    def predicted(self) -> float:
        """The median on the last day."""
        return self.days[-1].score


def forecast(
    student: Student,
    at: Micros,
    days: int,
    model: ForecastModel,
    rules: Rules,
    due_days: Sequence[Day] = (),
) -> Forecast:
    """The forecast for the next ``days``, 1 to 30.

    ``due_days``, which rise, are those of the student's calendar, past ones too; none at all means that no calendar is
    known.
    """
    here = situation(student, at, rules)
    known = model.with_calendar if due_days else None
    rows: list[Row] = []
    groups: list[int] = []
    without: list[float] = []
    for day in range(1, days + 1):
        left = aged(here, day, rules)
        without.append(left.score)
        row = here.numbers + ahead(here, day, left)
        if known:
            coming = due_ahead(here, day, due_days)
            rows.append(row + coming)
            groups.append(group_of(day, due=coming[0] > 0))
        else:
            rows.append(row)
            groups.append(group_of(day, due=False))
    predictor = known or model.alone
    found = tuple(
        _day(here.today + day, score, some)
        for day, score, some in zip(range(1, days + 1), without, _narrowed(predictor.moves(rows, groups)), strict=True)
    )
    last = found[-1]
    lost = rules.level_index(last.score) < rules.level_index(here.score)
    return Forecast(
        here.score,
        found,
        predictor.confidence(last.close(), groups[-1]),
        _trend(last.score - here.score, days),
        last.score < PASS_MARK or lost,
    )


def _day(day: Day, score: float, moves: Sequence[float]) -> DayAhead:
    """A day's distribution, from where the score ages to and how far it moves from there."""
    return DayAhead(day, tuple(min(1.0, max(0.0, score + move)) for move in moves))


def _narrowed(days: Sequence[Sequence[float]]) -> list[list[float]]:
    """Each day's quantiles, none further from its median than on the day after."""
    near = [inf] * len(LEVELS)
    found = []
    for moves in reversed(days):
        middle = moves[MEDIAN]
        near = [min(far, abs(move - middle)) for far, move in zip(near, moves, strict=True)]
        found.append([middle - far if place < MEDIAN else middle + far for place, far in enumerate(near)])
    return found[::-1]


def _trend(change: float, days: int) -> Trend:
    """Which way the prediction goes; stable within 0.01 a week."""
    slope = change / days * 7
    if abs(slope) <= STABLE_PER_WEEK:
        return "stable"
    return "improving" if slope > 0 else "declining"
