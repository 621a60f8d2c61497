"""The forecast: the distribution of the mastery score on each of the next days.

What is known already is computed exactly: the score as it ages where nothing new comes. What is likely, how far work
will move it from there, is a model's, corrected by what came of past forecasts in the course. No day's distribution is
wider than that of a day after it: the seventh rules.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

import msgspec
import numpy as np

from mastery_engine.domain.evidence.history import Trend
from mastery_engine.domain.forecast.calibration import UNKNOWN, Calibration, ForecastCases, calibrated, state_of
from mastery_engine.domain.forecast.day_ahead import DayAhead
from mastery_engine.domain.forecast.features import (
    ForecastFeatures,
    aged,
    ahead,
    due_ahead,
    due_behind,
    forecast_features,
)
from mastery_engine.domain.forecast.model import LEVELS, MEDIAN, ForecastModel, Row, group_of
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import PASS_MARK, Rules
from mastery_engine.domain.student import Student

LONGEST = 30
WEEK = 7
SEEN_FROM = 14
RISE, FALL = 0.30, 0.12

# How far a score may move in a week where nothing is known of the student: normal, and rather up, since work adds.
_ANY = [abs(NormalDist().inv_cdf(level)) * (FALL if place < MEDIAN else RISE) for place, level in enumerate(LEVELS)]
STABLE = 0.01


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


class ModelAhead(msgspec.Struct, frozen=True, gc=False):
    """What the model alone says of some days ahead, before any calibration.

    ``days`` says how many days ahead each is, ``quantiles`` holds for each the quantiles of the score at ``LEVELS``,
    not cut at 0 and 1, ``aged`` the score where no new evidence comes, ``due`` whether work is due by then.
    ``away`` is the number of days since the last active one, ``known_for`` that since the first day of the history.
    """

    here: ForecastFeatures
    days: tuple[int, ...]
    quantiles: tuple[tuple[float, ...], ...]
    aged: tuple[float, ...]
    due: tuple[bool, ...]
    away: int
    known_for: int
    strangeness: float


def forecast(
    student: Student,
    at: Micros,
    days: int,
    model: ForecastModel,
    rules: Rules,
    due_days: Sequence[Day] = (),
    calibration: Calibration | None = None,
) -> Forecast:
    """The forecast for the next ``days``, 1 to 30.

    ``due_days``, which rise, are those of the student's calendar, past ones too; none at all means that no calendar is
    known. ``calibration`` is that of the student's course, if there is one.
    """
    alone = model_ahead(student, at, range(1, max(days, WEEK) + 1), model, rules, due_days)
    here = alone.here
    known = calibration or UNKNOWN
    newness = 0.0 if known.calibrated else max(0.0, 1.0 - alone.known_for / SEEN_FROM)
    served = _in_order(calibrated(cases(alone, has_calendar=bool(due_days)), known).tolist(), newness)
    found = tuple(DayAhead(here.today + day, tuple(map(_cut, some))) for day, some in enumerate(served[:days], 1))
    last = found[-1]
    lost = rules.level_index(last.score) < rules.level_index(here.score)
    return Forecast(
        here.score,
        found,
        known.confident(last.close()),
        _trend(last.score - here.score),
        last.score < PASS_MARK or lost,
    )


def model_ahead(
    student: Student,
    at: Micros,
    days: Sequence[int],
    model: ForecastModel,
    rules: Rules,
    due_days: Sequence[Day] = (),
) -> ModelAhead:
    """What the model alone says of so many days ahead, 1 to 30 each; ``due_days`` as for ``forecast``."""
    here = forecast_features(student, at, rules)
    known = model.with_calendar if due_days else None
    behind = due_behind(here, due_days) if due_days else None
    rows: list[Row] = []
    due: list[bool] = []
    without: list[float] = []
    usual: Row = ()
    for day in days:
        left = aged(here, day, rules)
        without.append(left.score)
        row = here.numbers + ahead(here, day, left)
        coming = due_ahead(here, day, due_days, behind) if due_days else ()
        due.append(bool(coming) and coming[0] > 0)
        rows.append(row + coming if known else row)
        usual = row if day == WEEK else usual
    predictor, known_for = known or model.alone, _known_for(student, here.today)
    groups = [group_of(day, due=known is not None and is_due) for day, is_due in zip(days, due, strict=True)]
    moves = predictor.moves(rows, groups)
    return ModelAhead(
        here,
        tuple(days),
        tuple(tuple([score + move for move in some]) for score, some in zip(without, moves, strict=True)),
        tuple(without),
        tuple(due),
        _away(student, here.today, rules),
        known_for,
        model.strangeness(usual, known_for),
    )


def cases(alone: ModelAhead, *, has_calendar: bool) -> ForecastCases:
    """The cases that a calibration takes, one for each day."""
    return ForecastCases(
        np.full(len(alone.days), alone.here.score),
        np.array(alone.aged),
        np.array(alone.quantiles),
        np.array([state_of(alone.away, alone.known_for, has_calendar=has_calendar, due=due) for due in alone.due]),
        np.array(alone.days, dtype=np.float64),
    )


def _cut(score: float) -> float:
    return min(1.0, max(0.0, score))


def _known_for(student: Student, today: Day) -> int:
    """Days since the first day of the history; 0 where there is none."""
    first = next(iter(student.history.points(first=0, last=today)), None)
    return 0 if first is None else today - first.day


def _away(student: Student, today: Day, rules: Rules) -> int:
    """Days since the last active day that is kept; the whole retention where there is none."""
    active = student.evidence.activity.up_to(today) & (1 << rules.retention_days) - 1
    return (active & -active).bit_length() - 1 if active else rules.retention_days


def _in_order(days: Sequence[Sequence[float]], newness: float) -> list[list[float]]:
    """Each day's quantiles, none further from its median than on a later day.

    The seventh rules: those before it give way to it, those after it are as far out as the day before them at least.
    So a day's distribution is the same in whatever forecast it stands. Of a new student any course may be true.
    """
    reach = [
        [
            max(abs(move - moves[MEDIAN]), newness * sqrt(day / WEEK) * far)
            for move, far in zip(moves, _ANY, strict=True)
        ]
        for day, moves in enumerate(days, 1)
    ]
    for place in range(WEEK - 2, -1, -1):
        reach[place] = list(map(min, reach[place], reach[place + 1]))
    for place in range(WEEK, len(days)):
        reach[place] = list(map(max, reach[place], reach[place - 1]))
    return [
        [moves[MEDIAN] - far if place < MEDIAN else moves[MEDIAN] + far for place, far in enumerate(fars)]
        for moves, fars in zip(days, reach, strict=True)
    ]


def _trend(change: float) -> Trend:
    """Which way the prediction goes; stable unless it moves by more than ``STABLE``."""
    if abs(change) <= STABLE:
        return "stable"
    return "improving" if change > 0 else "declining"
