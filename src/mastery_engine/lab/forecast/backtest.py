"""The forecast against what people would use instead, a week ahead, on students that nothing was fitted on."""

import csv
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import msgspec
import numpy as np

from mastery_engine.domain.forecast.day_ahead import CLOSE
from mastery_engine.domain.forecast.forecast import Forecast, forecast
from mastery_engine.domain.forecast.misses import end_of
from mastery_engine.domain.forecast.model import LEVELS as ALL_LEVELS
from mastery_engine.domain.forecast.model import ForecastModel
from mastery_engine.domain.forecast.network import Numbers
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.forecast.baselines import LEVELS, NAMES, check_holt, has_holt, quantiles
from mastery_engine.lab.forecast.courses import RecordedLearner, calendar_from, counted, learners, lines_of
from mastery_engine.lab.forecast.fit import cases_of, fitted
from mastery_engine.lab.forecast.origins import WEEK, Origin, origins_of

ENGINE, BLIND = "engine", "engine_without_calendar"
MIDDLE, LOW, HIGH = LEVELS.index(0.5), LEVELS.index(0.1), LEVELS.index(0.9)
CONFIDENCE_BINS = 10
_PICKED = [ALL_LEVELS.index(level) for level in LEVELS]

Progress: TypeAlias = Callable[[str, float | None], AbstractContextManager[Callable[[float], None]]]


class ForecastAccuracy(msgspec.Struct, frozen=True):
    """How a model did; errors in units of the score, 0 to 1."""

    mae: float
    rmse: float
    crps: float
    coverage80: float
    width80: float


class ConfidenceBin(msgspec.Struct, frozen=True):
    """Forecasts that stated about the same confidence, and the share of them that came within 0.05."""

    stated: float
    true: float
    forecasts: int


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
    known_learners = learners(lines_of(events_file), calendar, retention_days=rules.retention_days)
    training = [learner for learner in known_learners if not learner.is_for_test]
    tested = [learner for learner in known_learners if learner.is_for_test]
    with progress("Following the students", len(known_learners)) as tell:
        known = _origins(training, rules, calendar=bool(calendar), documents=False, tell=tell)
        test = _origins(
            tested, rules, calendar=bool(calendar), documents=True, tell=lambda done: tell(len(training) + done)
        )
    if not known or not test:
        raise InvalidInput("The file has too few students who were seen for three weeks: there is nothing to test.")
    engine = _engine([name for name in chosen if name in (ENGINE, BLIND)], training, test, rules, progress)
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
        round(engine.fit_s, 1),
        round(engine.us_per_forecast, 1),
        left_out,
    )
    return ForecastBacktest(result, test, forecasts)


class _EngineForecasts(msgspec.Struct):
    """What the engine's own model did."""

    forecasts: dict[str, Numbers] = {}
    confidence: list[ConfidenceBin] = []
    fit_s: float = 0.0
    us_per_forecast: float = 0.0


def _engine(
    names: Sequence[str], training: Sequence[RecordedLearner], test: Sequence[Origin], rules: Rules, progress: Progress
) -> _EngineForecasts:
    """Fit the engine's model on the training students, and forecast for the others, with a calendar and without."""
    done = _EngineForecasts()
    if not names:
        return done
    with progress("Collecting cases", len(training)) as tell:
        cases = [case for learner in counted(training, tell) for case in cases_of(learner, rules)]
    begun = perf_counter()
    with progress("Fitting the engine's model", None):
        model = ForecastModel(fitted(cases))
    done.fit_s = perf_counter() - begun
    for name in names:
        with progress(f"Forecasting: {name}", len(test)) as tell:
            begun = perf_counter()
            made = _forecasts(test, model, rules, calendar=name == ENGINE, tell=tell)
            cost = (perf_counter() - begun) / len(test) * 1e6
        done.forecasts[name] = np.array([[ahead.days[-1].quantiles[place] for place in _PICKED] for ahead in made])
        if name == ENGINE:
            done.us_per_forecast = cost
            done.confidence = _bins([ahead.confidence for ahead in made], [ahead.predicted for ahead in made], test)
    return done


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


def _forecasts(
    test: Sequence[Origin], model: ForecastModel, rules: Rules, *, calendar: bool, tell: Callable[[float], None]
) -> list[Forecast]:
    made = []
    for place, origin in enumerate(test):
        due_days = origin.due_days if calendar else ()
        made.append(forecast(origin.student, end_of(origin.day), WEEK, model, rules, due_days))
        tell(place + 1)
    return made


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


def _bins(stated: Sequence[float], predicted: Sequence[float], test: Sequence[Origin]) -> list[ConfidenceBin]:
    """Ten bins of as many forecasts each, by what they stated."""
    came = np.array([abs(origin.later - score) <= CLOSE for origin, score in zip(test, predicted, strict=True)])
    confidence = np.array(stated)
    order = np.argsort(confidence, kind="stable")
    return [
        ConfidenceBin(round(float(confidence[places].mean()), 4), round(float(came[places].mean()), 4), len(places))
        for places in np.array_split(order, min(CONFIDENCE_BINS, len(order)))
    ]


def write_predictions(path: Path, measured: ForecastBacktest) -> None:
    """The engine's quantiles for every origin of the test students, as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["student_id", "at", "now", "score", *[f"q{round(level * 100):02d}" for level in LEVELS]])
        for origin, row in zip(measured.origins, measured.forecasts[ENGINE].tolist(), strict=True):
            at = rfc3339(end_of(origin.day))
            values = [f"{value:.6f}" for value in (origin.now, origin.later, *row)]
            writer.writerow([origin.student_id, at, *values])
