"""Fitting the forecast: cases from learners' pasts, networks on all folds but one, calibration on the fold left out."""

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec
import numpy as np

from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.forecast.day_ahead import CLOSE, DayAhead
from mastery_engine.domain.forecast.features import aged, ahead, due_ahead, forecast_features
from mastery_engine.domain.forecast.model import (
    LEVELS,
    SEEN,
    ForecastModel,
    ForecastParameters,
    Part,
    Row,
    UsualCases,
    group_of,
)
from mastery_engine.domain.forecast.network import Compiled, Ensemble, Numbers
from mastery_engine.domain.moments import Day, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.forecast.courses import (
    RecordedLearner,
    calendar_from,
    counted,
    days_of,
    learners,
    lines_of,
)
from mastery_engine.lab.forecast.fit_network import fit_network

FOLDS = 4
FIRST_ORIGIN, WEEK, LONGEST = 14, 7, 30
BETWEEN = 1 / 3  # the chance of a day between weekly origins to be one too
QUIET = 1.45  # without a calendar a case in which no work came counts so much: the median leans to what stays
CORRECTED = 0.65  # the mean of the networks misses less than each alone, on which the calibration is measured
FEWEST_CASES, FEWEST_IN_GROUP = 40, 200
CONFIDENCE_BINS = 20
RIDGE = 0.05  # of the variance of an input


class Case(msgspec.Struct, frozen=True):
    """What was known at one moment of one student, and how far the score moved from where it would have aged to."""

    fold: int
    row: Numbers
    coming: Row
    days: int
    due: bool
    quiet: bool
    moved: float
    known_for: int = 0


def fit_forecast(
    events_file: Path,
    calendar_file: Path | None = None,
    *,
    rules: Rules | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> ForecastParameters:
    """The parameters fitted on a file of events, and on the calendar of its cohorts. Raises InvalidInput."""
    rules = rules or Rules()
    calendar = calendar_from(calendar_file) if calendar_file else {}
    known = learners(lines_of(events_file), calendar, rules)
    cases = [case for learner in counted(known, on_progress) for case in cases_of(learner, rules)]
    return fitted(cases)


def cases_of(learner: RecordedLearner, rules: Rules) -> list[Case]:
    """A learner's cases: each week one for 7 days ahead and one for any number, and some from other days.

    A third of the days between are origins too, for 7 days ahead: a deadline is then seen from each distance.
    """
    chance = Random(f"cases/{learner.student_id}")  # nosec B311
    last = day_of(learner.last)
    asked: dict[Day, list[int]] = {}
    for day in range(learner.first + FIRST_ORIGIN, last + 1):
        if (day - learner.first) % WEEK == 0:
            asked[day] = [WEEK, chance.randint(1, LONGEST)]
        elif chance.random() < BETWEEN:
            asked[day] = [WEEK]
    for early in (chance.randrange(WEEK), chance.randrange(WEEK, FIRST_ORIGIN)):
        asked[learner.first + early] = [chance.randint(1, LONGEST)]
    wanted = {day + days for day, spans in asked.items() for days in spans}
    documents, scores = {}, {}
    for day, student in days_of(learner, rules):
        if day in asked and student.is_known(rules.end_of(day), rules):
            documents[day] = student
        if day in wanted:
            scores[day] = mastery_score(student.evidence, rules.end_of(day), rules).score
    fold = fold_of(learner.student_id)
    cases = []
    for day, student in documents.items():
        here = forecast_features(student, rules.end_of(day), rules)
        due_days = learner.due_known(rules.end_of(day))
        for days in asked[day]:
            if day + days not in scores:
                continue
            left = aged(here, days, rules)
            coming = due_ahead(here, days, due_days) if due_days else ()
            cases.append(
                Case(
                    fold,
                    np.array(here.numbers + ahead(here, days, left), dtype=np.float32),
                    coming,
                    days,
                    bool(coming) and coming[0] > 0,
                    not learner.worked(day, day + days),
                    scores[day + days] - left.score,
                    day - learner.first,
                )
            )
    return cases


def fold_of(student_id: str) -> int:
    """The fold of a student, by a stable hash: the network of this number was fitted without them."""
    return int(hashlib.sha256(f"fold/{student_id}".encode()).hexdigest(), 16) % FOLDS


def without_fold(parameters: ForecastParameters, fold: int) -> ForecastParameters:
    """The parameters with only the network that was fitted without a fold."""

    def one(part: Part) -> Part:
        networks = (part.ensemble.networks[fold],)
        return msgspec.structs.replace(part, ensemble=msgspec.structs.replace(part.ensemble, networks=networks))

    known = parameters.with_calendar
    return msgspec.structs.replace(
        parameters, alone=one(parameters.alone), with_calendar=None if known is None else one(known)
    )


def fitted(cases: Sequence[Case]) -> ForecastParameters:
    """The parameters that cases come to. Raises InvalidInput where there are too few."""
    known = [case for case in cases if case.coming]
    alone = _part(cases, calendar=False)
    with_calendar = _part(known, calendar=True) if len(known) >= FEWEST_CASES else None
    parameters = ForecastParameters(alone, with_calendar, usual_cases(cases, alone.ensemble))
    ForecastModel(parameters)
    return parameters


def _part(cases: Sequence[Case], *, calendar: bool) -> Part:
    folds = np.array([case.fold for case in cases])
    if len(cases) < FEWEST_CASES or len(set(folds)) < FOLDS:
        raise InvalidInput(
            f"The file has {len(cases)} cases to fit a forecast on, too few: it takes {FEWEST_CASES}, from at least a "
            "dozen students who were seen for three weeks or more."
        )
    rows = np.array([case.row for case in cases], dtype=np.float32)
    if calendar:
        rows = np.hstack([rows, np.array([case.coming for case in cases], dtype=np.float32)])
    moves = np.array([case.moved for case in cases], dtype=np.float32)
    weights = np.array([1.0 if calendar or not case.quiet else QUIET for case in cases], dtype=np.float32)
    means, deviations = rows.mean(axis=0), rows.std(axis=0)
    deviations[deviations < 1e-6] = 0.0
    scaled = Compiled(Ensemble(_packed(means), _packed(deviations), ())).scaled(rows)
    networks = []
    held_out = np.zeros((len(cases), len(LEVELS)), dtype=np.float32)
    for fold in range(FOLDS):
        here, there = folds != fold, folds == fold
        network = fit_network(scaled[here], moves[here], weights[here], LEVELS, seed=fold)
        ensemble = Ensemble(_packed(means), _packed(deviations), (network,))
        held_out[there] = Compiled(ensemble).quantiles(rows[there])
        networks.append(network)
    groups = np.array([group_of(case.days, due=calendar and case.due) for case in cases])
    kinds = [groups == group for group in range(6 if calendar else 3)]
    levels = tuple(_levels(held_out[kind], moves[kind]) for kind in kinds)
    confidence = tuple(_confidence(true, held_out[kind], moves[kind]) for true, kind in zip(levels, kinds, strict=True))
    return Part(Ensemble(_packed(means), _packed(deviations), tuple(networks)), levels, confidence)


def usual_cases(cases: Sequence[Case], ensemble: Ensemble) -> UsualCases:
    """What the inputs of the cases are like: their means, the inverse of their covariance, and the usual distances.

    A little is added to the diagonal, so that inputs that depend on one another have an inverse (ridge).
    """
    rows = Compiled(ensemble).scaled(np.array([case.row for case in cases], dtype=np.float32)).astype(np.float64)
    means = rows.mean(axis=0)
    precision = np.linalg.inv(np.cov((rows - means).T) + RIDGE * np.eye(rows.shape[1]))
    away = rows - means
    distances = np.einsum("ni,ij,nj->n", away, precision, away)
    seen = np.array([case.known_for for case in cases])
    spans = [(seen >= low) & (seen < high) for low, high in pairwise((0, *SEEN, np.inf))]
    usual = [float(np.median(distances[span] if span.any() else distances)) for span in spans]
    return UsualCases(_packed(means.astype(np.float32)), precision.astype("<f2").tobytes(), tuple(usual))


def _packed(numbers: Numbers) -> bytes:
    return numbers.astype("<f4").tobytes()


def _levels(quantiles: Numbers, moves: Numbers) -> tuple[float, ...]:
    """The level at which a stated level truly lies, for each of ``LEVELS`` (Kuleshov et al. 2018)."""
    if len(moves) < FEWEST_IN_GROUP:
        return LEVELS
    reached = [_level_of(row, move) for row, move in zip(quantiles.tolist(), moves.tolist(), strict=True)]
    stated = np.array(LEVELS)
    true = np.clip(np.quantile(reached, LEVELS), LEVELS[0], LEVELS[-1])
    return tuple((stated + CORRECTED * (true - stated)).tolist())


def _level_of(quantiles: Sequence[float], move: float) -> float:
    """The lowest level whose quantile is not below a move."""
    return 1.0 if move > quantiles[-1] else DayAhead(0, tuple(quantiles)).below(move) or LEVELS[0]


def _confidence(levels: Sequence[float], quantiles: Numbers, moves: Numbers) -> tuple[tuple[float, float], ...]:
    """Pairs of computed confidence and the share that came true, rising in both (isotonic: Ayer et al. 1955).

    They begin at none and none, or all of the lowest bin would be given its mean.
    """
    if len(moves) < FEWEST_IN_GROUP:
        return ()
    computed, true = [], []
    for row, move in zip(quantiles, moves.tolist(), strict=True):
        day = DayAhead(0, tuple(np.interp(levels, LEVELS, row).tolist()))
        computed.append(day.close())
        true.append(float(abs(move - day.score) <= CLOSE))
    order = np.argsort(computed, kind="stable")
    bins = [
        (float(np.mean(np.take(computed, places))), float(np.mean(np.take(true, places))), float(len(places)))
        for places in np.array_split(order, min(CONFIDENCE_BINS, len(order)))
    ]
    pooled: list[tuple[float, float, float]] = []
    for stated, share, size in bins:
        pooled.append((stated, share, size))
        while len(pooled) > 1 and pooled[-2][1] >= pooled[-1][1]:
            (stated_1, share_1, size_1), (stated_2, share_2, size_2) = pooled[-2:]
            size = size_1 + size_2
            both = ((stated_1 * size_1 + stated_2 * size_2) / size, (share_1 * size_1 + share_2 * size_2) / size, size)
            pooled[-2:] = [both]
    return ((0.0, 0.0), *((stated, share) for stated, share, _ in pooled))
