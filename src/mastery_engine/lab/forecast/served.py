"""What would have been served: forecasts calibrated week by week, each by the weeks alone that were over by then."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from mastery_engine.domain.forecast.calibration import UNKNOWN, Calibration, Miss, calibrations_by_week
from mastery_engine.domain.forecast.day_ahead import CLOSE
from mastery_engine.domain.forecast.forecast import Forecast, forecast
from mastery_engine.domain.forecast.misses import misses_of, no_calendar
from mastery_engine.domain.forecast.model import LEVELS as ALL_LEVELS
from mastery_engine.domain.forecast.model import ForecastModel
from mastery_engine.domain.forecast.network import Numbers
from mastery_engine.domain.moments import DAY, Day, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.lab.forecast.baselines import LEVELS
from mastery_engine.lab.forecast.courses import RecordedLearner, counted, learners_of
from mastery_engine.lab.forecast.origins import WEEK, Origin, origins_of
from mastery_engine.lab.simulate.varied import ClassPlan, class_events

FEWEST = 30  # forecasts of which a share can be told
CONFIDENCE_BINS, FEWEST_IN_BIN = 10, 50
PICKED = [ALL_LEVELS.index(level) for level in LEVELS]
LOW, MIDDLE, HIGH = LEVELS.index(0.1), LEVELS.index(0.5), LEVELS.index(0.9)
FIRST_DAY = 20_000  # of simulated classes

ModelOf: TypeAlias = Callable[[RecordedLearner], ForecastModel]


class ServedForecast(msgspec.Struct, frozen=True):
    """One forecast as it would have been served, with what came.

    ``week`` counts from the course's first day; ``persistence`` are the quantiles at ``LEVELS`` of persistence by the
    course's own past changes.
    """

    course: str
    week: int
    calibrated: bool
    made: Forecast
    came: float
    persistence: tuple[float, ...]

    @property
    def quantiles(self) -> list[float]:
        """Those of the last day, at ``LEVELS``."""
        return [self.made.days[-1].quantiles[place] for place in PICKED]


class ConfidenceBin(msgspec.Struct, frozen=True):
    """Forecasts that stated about the same confidence, and the share of them that came within 0.05."""

    stated: float
    true: float
    forecasts: int


class ServedAccuracy(msgspec.Struct, frozen=True):
    """How forecasts as served did; ``of_persistence`` is the CRPS beside that by the course's own past changes.

    ``confidence_off`` is the largest distance between what was stated and the share that came true, over bins of at
    least ``FEWEST_IN_BIN`` forecasts each.
    """

    forecasts: int
    coverage80: float
    crps: float
    of_persistence: float
    said_to_need_help: int
    fell: int
    confidence_off: float


class CourseForecasts(msgspec.Struct, frozen=True):
    """A course: before it was calibrated, and since; None where there are too few forecasts to tell."""

    before: ServedAccuracy | None
    calibrated: ServedAccuracy | None


class PastCourse(msgspec.Struct, frozen=True):
    """What a course knew of its past: a calibration for each week, and the changes with the days they were known."""

    first: Day
    calibrations: list[Calibration]
    known_from: list[Day]
    changes: list[float]

    def calibration(self, day: Day) -> Calibration:
        """That of the beginning of the week in which a day lies."""
        place = bisect_right(self.calibrations, day, key=lambda known: day_of(known.as_of))
        return self.calibrations[place - 1] if place else UNKNOWN

    def persistence(self, day: Day, now: float) -> tuple[float, ...]:
        """The score now with the quantiles of the changes that were known before a day."""
        changes = self.changes[: bisect_right(self.known_from, day - 1)] or [0.0]
        return tuple(np.clip(now + np.quantile(changes, LEVELS), 0.0, 1.0).tolist())


def course_of(learner: RecordedLearner) -> str:
    """The course or class that a learner's events name first; ``default`` where none is named."""
    for event in learner.events:
        named = event.metadata.get("cohort_id") or event.metadata.get("course_id")
        if named:
            return str(named)
    return "default"


def past_courses(
    known: Sequence[RecordedLearner], model_of: ModelOf, rules: Rules, *, calendar: bool, tell: Callable[[float], None]
) -> dict[str, PastCourse]:
    """What each course knew of its past, week by week."""
    until = (max(day_of(learner.last) for learner in known) + 1) * DAY
    misses: dict[str, list[Miss]] = defaultdict(list)
    first: dict[str, Day] = {}
    for learner in counted(known, tell):
        course = course_of(learner)
        first[course] = min(learner.first, first.get(course, learner.first))
        due_known = learner.due_known if calendar else no_calendar
        misses[course] += misses_of(learner.events, model_of(learner), rules, until=until, due_known=due_known)
    found = {}
    for course, some in misses.items():
        in_order = sorted(some, key=lambda miss: miss.target)
        changes = [miss.came - miss.now for miss in in_order]
        found[course] = PastCourse(
            first[course], calibrations_by_week(some, until, rules.zone), [miss.target for miss in in_order], changes
        )
    return found


def served(
    origins: Iterable[tuple[str, Origin]],
    courses: Mapping[str, PastCourse],
    model: ForecastModel,
    rules: Rules,
    *,
    calendar: bool,
) -> list[ServedForecast]:
    """The forecasts from origins, each with its course, as they would have been served."""
    made = []
    for course, origin in origins:
        past = courses[course]
        known = past.calibration(origin.day)
        due_days = origin.due_days if calendar else ()
        ahead = forecast(origin.student, rules.end_of(origin.day), WEEK, model, rules, due_days, known)
        week = (origin.day - past.first) // WEEK
        persistence = past.persistence(origin.day, origin.now)
        made.append(ServedForecast(course, week, known.calibrated, ahead, origin.later, persistence))
    return made


def by_course(made: Sequence[ServedForecast]) -> dict[str, CourseForecasts]:
    """How the forecasts of each course did, before it was calibrated and since."""
    found = {}
    for course in sorted({one.course for one in made}):
        own = [one for one in made if one.course == course]
        before, since = ([one for one in own if one.calibrated is calibrated] for calibrated in (False, True))
        found[course] = CourseForecasts(accuracy_of(before), accuracy_of(since))
    return found


def by_week(made: Sequence[ServedForecast]) -> dict[int, ServedAccuracy]:
    """How the forecasts of each week since the beginning of a course did, over all courses."""
    weeks = sorted({one.week for one in made})
    found = {week: accuracy_of([one for one in made if one.week == week]) for week in weeks}
    return {week: accuracy for week, accuracy in found.items() if accuracy is not None}


def accuracy_of(made: Sequence[ServedForecast]) -> ServedAccuracy | None:
    """How forecasts did; None where they are too few."""
    if len(made) < FEWEST:
        return None
    came = np.array([one.came for one in made])
    rows, base = np.array([one.quantiles for one in made]), np.array([one.persistence for one in made])
    inside = (rows[:, LOW] <= came) & (came <= rows[:, HIGH])
    crps = float(_crps(rows, came).mean())
    rules = Rules()
    said = sum(one.made.intervention_needed for one in made)
    fell = sum(one.came < 0.5 or rules.level_index(one.came) < rules.level_index(one.made.now) for one in made)
    ratio = crps / max(float(_crps(base, came).mean()), 1e-9)
    off = max(abs(one.stated - one.true) for one in confidence_bins(made))
    share = float(inside.mean())
    return ServedAccuracy(len(made), round(share, 4), round(crps, 6), round(ratio, 4), said, fell, round(off, 4))


def confidence_bins(made: Sequence[ServedForecast]) -> list[ConfidenceBin]:
    """Up to ten bins of as many forecasts each, by what they stated."""
    stated = np.array([one.made.confidence for one in made])
    close = np.array([abs(one.came - one.made.predicted) <= CLOSE for one in made])
    many = min(CONFIDENCE_BINS, max(1, len(made) // FEWEST_IN_BIN))
    return [
        ConfidenceBin(round(float(stated[places].mean()), 4), round(float(close[places].mean()), 4), len(places))
        for places in np.array_split(np.argsort(stated, kind="stable"), many)
    ]


def _crps(rows: Numbers, came: Numbers) -> Numbers:
    missed = came[:, None] - rows
    levels = np.array(LEVELS)
    found: Numbers = 2.0 * np.maximum(levels * missed, (levels - 1.0) * missed).mean(axis=1)
    return found


def served_to_class(plan: ClassPlan, model: ForecastModel, rules: Rules, *, seed: int) -> list[ServedForecast]:
    """A simulated class: the forecasts that would have been served, without a calendar."""
    events = class_events(plan, seed=seed, first=FIRST_DAY)
    known = learners_of(events, {})
    courses = past_courses(known, lambda _: model, rules, calendar=False, tell=lambda _: None)
    origins = [
        (plan.cohort, origin)
        for learner in known
        for origin in origins_of(learner, rules, calendar=False, documents=True)
    ]
    return served(origins, courses, model, rules, calendar=False)
