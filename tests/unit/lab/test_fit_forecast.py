"""The fit on cases whose distribution is known."""

from random import Random

import numpy as np
import pytest

from mastery_engine.domain.forecast.day_ahead import DayAhead
from mastery_engine.domain.forecast.model import LOWER, MEDIAN, UPPER, ForecastModel, group_of
from mastery_engine.errors import InvalidInput
from mastery_engine.lab.forecast.fit import FOLDS, Case, fitted

CASES = 1_600


def cases(seed: int, number: int) -> list[Case]:
    """A move is a tenth of the first input, with a spread that the second one says: 0.02 or 0.1."""
    chance = Random(seed)
    made = []
    for place in range(number):
        drift, wild = chance.gauss(0, 1), chance.random() < 0.5
        moved = 0.1 * drift + chance.gauss(0, 0.1 if wild else 0.02)
        made.append(Case(place % FOLDS, (drift, float(wild), 7.0), (float(wild),), 7, wild, False, moved))
    return made


@pytest.fixture(scope="module")
def model() -> ForecastModel:
    return ForecastModel(fitted(cases(1, CASES)))


@pytest.mark.parametrize("calendar", [False, True])
def test_intervals_hold_what_they_say_on_new_cases(model: ForecastModel, calendar: bool) -> None:
    new = cases(2, 2_000)
    predictor = model.with_calendar if calendar else model.alone
    assert predictor is not None
    rows = [case.row + case.coming if calendar else case.row for case in new]
    groups = [group_of(7, due=calendar and case.due) for case in new]
    moves = np.array(predictor.moves(rows, groups))
    true = np.array([case.moved for case in new])
    wild = np.array([case.due for case in new])
    inside = (moves[:, LOWER] <= true) & (true <= moves[:, UPPER])
    assert inside.mean() == pytest.approx(0.8, abs=0.06)
    assert np.abs(moves[:, MEDIAN] - [0.1 * case.row[0] for case in new]).mean() < 0.02
    width = moves[:, UPPER] - moves[:, LOWER]
    assert width[wild].mean() > 3 * width[~wild].mean(), "five times, were it perfect"
    stated = [
        predictor.confidence(DayAhead(0, tuple(row)).close(), group) for row, group in zip(moves, groups, strict=True)
    ]
    close = np.abs(true - moves[:, MEDIAN]) <= 0.05
    for kind in (wild, ~wild):
        assert np.mean(np.array(stated)[kind]) == pytest.approx(close[kind].mean(), abs=0.06)


def test_less_confidence_than_any_that_was_calibrated_is_not_more_for_that(model: ForecastModel) -> None:
    group = group_of(7, due=False)
    confidence = [model.alone.confidence(computed, group) for computed in (0.0, 0.02, 0.1, 0.3)]
    assert confidence == sorted(confidence)
    assert confidence[0] == 0.0
    assert confidence[1] < 0.05


def test_the_same_cases_give_the_same_parameters() -> None:
    few = cases(3, 60)
    assert fitted(few) == fitted(few)


@pytest.mark.parametrize("too_few", [cases(1, 10), [case for case in cases(1, 200) if case.fold == 0]])
def test_too_few_cases_or_students_are_refused(too_few: list[Case]) -> None:
    with pytest.raises(InvalidInput, match="too few"):
        fitted(too_few)
