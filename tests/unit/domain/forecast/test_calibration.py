"""What a course learns from its own past weeks: never from the future, little from few, the truth from many."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastery_engine.domain.forecast.calibration import ENOUGH, UNKNOWN, Calibration, Miss, calibrated, calibration_from
from mastery_engine.domain.forecast.model import LEVELS, LOWER, MEDIAN, UPPER
from mastery_engine.domain.moments import DAY

FIRST = 20_000
AS_OF = (FIRST + 400) * DAY
NARROW = tuple(0.5 + (level - 0.5) * 0.1 for level in LEVELS)


def weeks(many: int, spread: float, seed: int = 1, first: int = FIRST) -> list[Miss]:
    """A course in which scores move by any amount up to ``spread``, forecast far too surely."""
    chance = Random(seed)
    return [
        Miss(first + 7 * (place // 40), 0.5, 0.5, 0.5 + chance.uniform(-spread, spread), NARROW, 0, 20)
        for place in range(many)
    ]


def interval(calibration: Calibration) -> tuple[float, float]:
    found = calibrated(NARROW, calibration)
    return found[LOWER], found[UPPER]


def test_nothing_known_is_wide_and_not_calibrated() -> None:
    known = calibration_from([], AS_OF)
    assert (known.calibrated, known.coverage, known.student_weeks) == (False, None, 0)
    assert interval(known) == interval(UNKNOWN)
    assert interval(known)[1] - interval(known)[0] > NARROW[UPPER] - NARROW[LOWER]


def test_many_weeks_are_calibrated_and_the_interval_holds() -> None:
    known = calibration_from(weeks(1_200, 0.2), AS_OF)
    assert known.calibrated
    assert known.coverage == pytest.approx(0.8, abs=0.06)
    lower, upper = interval(known)
    inside = [lower <= miss.came <= upper for miss in weeks(2_000, 0.2, seed=2)]
    assert sum(inside) / len(inside) == pytest.approx(0.8, abs=0.05)


def test_it_takes_enough_weeks() -> None:
    assert not calibration_from(weeks(ENOUGH - 1, 0.1), AS_OF).calibrated
    assert calibration_from(weeks(ENOUGH, 0.1), AS_OF).calibrated


def test_few_weeks_change_little() -> None:
    few, many = (interval(calibration_from(weeks(size, 0.3), AS_OF))[1] for size in (25, 2_000))
    assert interval(UNKNOWN)[1] < few < many


def test_weeks_that_are_not_over_do_not_count() -> None:
    over = weeks(400, 0.1)
    last = max(miss.target for miss in over)
    known = calibration_from(over, last * DAY)
    assert known == calibration_from([miss for miss in over if miss.target < last], last * DAY)
    assert known.student_weeks < len(over)


def test_the_order_of_the_misses_does_not_matter() -> None:
    misses = weeks(400, 0.1)
    shuffled = Random(3).sample(misses, len(misses))
    assert calibration_from(shuffled, AS_OF) == calibration_from(misses, AS_OF)


def test_it_is_packed_and_unpacked_and_another_format_is_learned_anew() -> None:
    known = calibration_from(weeks(400, 0.1), AS_OF)
    assert Calibration.unpack(known.pack()) == known
    assert Calibration.unpack(b"\x00" + known.pack()[1:]) is None
    assert Calibration.unpack(b"") is None


@settings(max_examples=50)
@given(
    st.lists(st.floats(-0.5, 1.5), min_size=len(LEVELS), max_size=len(LEVELS)).map(sorted),
    st.integers(0, 400),
    st.floats(0.0, 0.5),
)
def test_what_is_served_rises_within_0_and_1(quantiles: list[float], many: int, spread: float) -> None:
    found = calibrated(quantiles, calibration_from(weeks(many, spread), AS_OF))
    assert all(earlier <= later for earlier, later in pairwise(found))
    assert found[0] >= 0.0
    assert found[-1] <= 1.0
    assert len(found) == len(LEVELS)
    assert 0 < MEDIAN < len(LEVELS)
