"""The forecast against what people would use instead, a week ahead, on students that nothing was fitted on."""

import csv
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import msgspec
import numpy as np

from mastery_engine.domain.courses.zone import UTC
from mastery_engine.domain.forecast.model import ForecastModel
from mastery_engine.domain.forecast.network import Numbers
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.forecast.baselines import LEVELS, NAMES, check_holt, has_holt, quantiles
from mastery_engine.lab.forecast.courses import RecordedLearner, calendar_from, counted, learners, lines_of
from mastery_engine.lab.forecast.fit import FOLDS, cases_of, fitted, fold_of, without_fold
from mastery_engine.lab.forecast.origins import Origin, origins_of
from mastery_engine.lab.forecast.served import (
    ConfidenceBin,
    CourseForecasts,
    ServedAccuracy,
    ServedForecast,
    by_course,
    by_week,
    confidence_bins,
    course_of,
    past_courses,
    served,
)

ENGINE, BLIND = "engine", "engine_without_calendar"
MIDDLE, LOW, HIGH = LEVELS.index(0.5), LEVELS.index(0.1), LEVELS.index(0.9)
CALIBRATED_BY = 150  # students of each course, of those that the model was fitted on

Progress: TypeAlias = Callable[[str, float | None], AbstractContextManager[Callable[[float], None]]]


class ForecastAccuracy(msgspec.Struct, frozen=True):
    """How a model did; errors in units of the score, 0 to 1."""

    mae: float
    rmse: float
    crps: float
    coverage80: float
    width80: float


class ForecastBacktestResult(msgspec.Struct, frozen=True):
    """What a backtest found: each model's accuracy over all origins, and apart for weeks with and without work due."""

    students: int
    training_students: int
    origins: int
    calendar: bool
    mean: dict[str, ForecastAccuracy]
    work_due: dict[str, ForecastAccuracy]
    nothing_due: dict[str, ForecastAccuracy]
    confidence: list[ConfidenceBin]
    courses: dict[str, CourseForecasts]
    weeks: dict[int, ServedAccuracy]
    fit_s: float
    us_per_forecast: float
    left_out: list[str]


class ForecastBacktest(msgspec.Struct, frozen=True):
    """The result, with the forecasts behind it: for each model the quantiles at ``LEVELS``, a row for each origin."""

    result: ForecastBacktestResult
    origins: list[Origin]
    forecasts: dict[str, Numbers]


def backtest(
    events_file: Path,
    calendar_file: Path | None,
    progress: Progress,
    *,
    models: Sequence[str] = (),
    rules: Rules | None = None,
) -> ForecastBacktest:
    """Fit on 80% of the students, forecast for the others. ``models`` are names, all of them where left out.

    Raises InvalidInput.
    """
    rules = rules or Rules()
    chosen, left_out = chosen_models(models, calendar=calendar_file is not None)
    calendar = calendar_from(calendar_file) if calendar_file else {}
    known_learners = learners(lines_of(events_file), calendar, rules)
    training = [learner for learner in known_learners if not learner.is_for_test]
    tested = [learner for learner in known_learners if learner.is_for_test]
    with progress("Following the students", len(known_learners)) as tell:
        known = _origins(training, rules, calendar=bool(calendar), documents=False, tell=tell)
        test = _origins(
            tested, rules, calendar=bool(calendar), documents=True, tell=lambda done: tell(len(training) + done)
        )
    if not known or not test:
        raise InvalidInput("The file has too few students who were seen for three weeks: there is nothing to test.")
    engine = _engine([name for name in chosen if name in (ENGINE, BLIND)], training, tested, test, rules, progress)
    forecasts = {}
    for name in chosen:
        with progress(f"Forecasting: {name}", len(test)) as tell:
            made = engine.forecasts.get(name)
            forecasts[name] = quantiles(name, known, test, tell) if made is None else made
    later = np.array([origin.later for origin in test])
    due = np.array([origin.due for origin in test])

    def scored(places: np.ndarray) -> dict[str, ForecastAccuracy]:
        if not places.any():
            return {}
        return {name: accuracy(later[places], forecasts[name][places]) for name in chosen}

    result = ForecastBacktestResult(
        len(tested),
        len(training),
        len(test),
        bool(calendar),
        scored(np.ones(len(test), dtype=bool)),
        scored(due),
        scored(~due),
        engine.confidence,
        by_course(engine.served),
        by_week(engine.served),
        round(engine.fit_s, 1),
        round(engine.us_per_forecast, 1),
        left_out,
    )
    return ForecastBacktest(result, test, forecasts)


class _EngineForecasts(msgspec.Struct):
    """What the engine did: forecasts by its own model, as they would have been served."""

    served: list[ServedForecast] = []
    forecasts: dict[str, Numbers] = {}
    confidence: list[ConfidenceBin] = []
    fit_s: float = 0.0
    us_per_forecast: float = 0.0


def _engine(
    names: Sequence[str],
    training: Sequence[RecordedLearner],
    tested: Sequence[RecordedLearner],
    test: Sequence[Origin],
    rules: Rules,
    progress: Progress,
) -> _EngineForecasts:
    """Fit the engine's model on the training students, and forecast for the others, with a calendar and without."""
    done = _EngineForecasts()
    if not names:
        return done
    with progress("Collecting cases", len(training)) as tell:
        cases = [case for learner in counted(training, tell) for case in cases_of(learner, rules)]
    begun = perf_counter()
    with progress("Fitting the engine's model", None):
        parameters = fitted(cases)
    done.fit_s = perf_counter() - begun
    model = ForecastModel(parameters)
    without = [ForecastModel(without_fold(parameters, fold)) for fold in range(FOLDS)]

    def model_of(learner: RecordedLearner) -> ForecastModel:
        """One that has not seen the learner."""
        return model if learner.is_for_test else without[fold_of(learner.student_id)]

    course = {learner.student_id: course_of(learner) for learner in tested}
    calibrating = _some_of_each([*tested, *training])
    for name in names:
        calendar = name == ENGINE
        with progress(f"Calibrating: {name}", len(calibrating)) as tell:
            courses = past_courses(calibrating, model_of, rules, calendar=calendar, tell=tell)
        with progress(f"Forecasting: {name}", None):
            begun = perf_counter()
            made = served([(course[one.student_id], one) for one in test], courses, model, rules, calendar=calendar)
            cost = (perf_counter() - begun) / len(test) * 1e6
        done.forecasts[name] = np.array([one.quantiles for one in made])
        if name == ENGINE:
            done.us_per_forecast = cost
            done.served = made
            done.confidence = confidence_bins(made)
    return done


def _some_of_each(known: Sequence[RecordedLearner]) -> list[RecordedLearner]:
    """The first of each course, those for the test first: enough to calibrate by."""
    taken: dict[str, int] = {}
    chosen = []
    for learner in known:
        course = course_of(learner)
        taken[course] = taken.get(course, 0) + 1
        if learner.is_for_test or taken[course] <= CALIBRATED_BY:
            chosen.append(learner)
    return chosen


def chosen_models(models: Sequence[str], *, calendar: bool) -> tuple[list[str], list[str]]:
    """The models to run, and those that cannot be for want of statsmodels. Raises InvalidInput for an unknown one."""
    known = [ENGINE, *([BLIND] if calendar else []), *NAMES]
    unknown = [name for name in models if name not in known]
    if unknown:
        raise InvalidInput(f"There is no model {unknown[0]!r}; there are {', '.join(known)}.", field="models")
    if models:
        if "holt" in models:
            check_holt()
        return [name for name in known if name in models], []
    left_out = [] if has_holt() else ["holt"]
    return [name for name in known if name not in left_out], left_out


def _origins(
    chosen: Sequence[RecordedLearner], rules: Rules, *, calendar: bool, documents: bool, tell: Callable[[float], None]
) -> list[Origin]:
    return [
        origin
        for learner in counted(chosen, tell)
        for origin in origins_of(learner, rules, calendar=calendar, documents=documents)
    ]


def accuracy(later: Numbers, forecasts: Numbers) -> ForecastAccuracy:
    """The accuracy of quantiles at ``LEVELS``; CRPS is twice the mean pinball loss of the 19."""
    missed = later[:, None] - forecasts
    levels = np.array(LEVELS)
    pinball = np.maximum(levels * missed, (levels - 1) * missed)
    middle = missed[:, MIDDLE]
    inside = (later >= forecasts[:, LOW]) & (later <= forecasts[:, HIGH])
    figures = (
        np.abs(middle).mean(),
        np.sqrt((middle**2).mean()),
        2 * pinball.mean(),
        inside.mean(),
        (forecasts[:, HIGH] - forecasts[:, LOW]).mean(),
    )
    return ForecastAccuracy(*[round(float(figure), 6) for figure in figures])


def write_predictions(path: Path, measured: ForecastBacktest) -> None:
    """The engine's quantiles for every origin of the test students, as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["student_id", "at", "now", "score", *[f"q{round(level * 100):02d}" for level in LEVELS]])
        for origin, row in zip(measured.origins, measured.forecasts[ENGINE].tolist(), strict=True):
            at = rfc3339(UTC.end_of(origin.day))
            values = [f"{value:.6f}" for value in (origin.now, origin.later, *row)]
            writer.writerow([origin.student_id, at, *values])
