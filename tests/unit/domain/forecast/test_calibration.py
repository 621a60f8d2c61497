"""What a course learns from its own past weeks: never from the future, little from few, the truth from many."""

from itertools import pairwise
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastery_engine.domain.courses.zone import UTC
from mastery_engine.domain.forecast.calibration import (
    ENOUGH,
    UNKNOWN,
    Calibration,
    ForecastCases,
    Miss,
    calibrated,
    calibration_from,
    calibrations_by_week,
    familiarity,
    state_of,
)
from mastery_engine.domain.forecast.model import LEVELS, LOWER, MEDIAN, UPPER
from mastery_engine.domain.moments import DAY, day_of

FIRST = 20_000
AS_OF = (FIRST + 400) * DAY
NARROW = tuple(0.5 + (level - 0.5) * 0.01 for level in LEVELS)
SEEN = state_of(0, 30, has_calendar=False, due=False)


def weeks(
    many: int, spread: float, *, seed: int = 1, drift: float = 0.0, away: int = 0, strangeness: float = 9.0
) -> list[Miss]:
    """A course in which scores move by any amount up to ``spread``, forecast far too surely; 40 students a week."""
    chance = Random(seed)
    return [
        Miss(
            FIRST + 7 * (place // 40),
            0.5,
            0.5,
            0.5 + drift + chance.uniform(-spread, spread),
            NARROW,
            away,
            30,
            strangeness=strangeness,
        )
        for place in range(many)
    ]


def served(calibration: Calibration, *, state: int = SEEN, ahead: float = 7.0) -> list[float]:
    one = np.array([0.5])
    case = ForecastCases(one, one, np.array([NARROW]), np.array([state]), np.array([ahead]))
    return calibrated(case, calibration)[0].tolist()  # type: ignore[no-any-return]


def width(calibration: Calibration, **case: float) -> float:
    row = served(calibration, **case)  # type: ignore[arg-type]
    return row[UPPER] - row[LOWER]


def held(calibration: Calibration, spread: float) -> float:
    row = served(calibration)
    return float(np.mean([row[LOWER] <= miss.came <= row[UPPER] for miss in weeks(4_000, spread, seed=2)]))


def test_nothing_known_is_wide_and_not_calibrated() -> None:
    known = calibration_from([], AS_OF, UTC)
    assert (known.calibrated, known.coverage, known.student_weeks, known.as_of) == (False, None, 0, AS_OF)
    assert served(known) == served(UNKNOWN)
    assert width(known) > 0.15


@pytest.mark.parametrize("spread", [0.01, 0.1, 0.3])
def test_many_weeks_are_calibrated_and_the_interval_holds(spread: float) -> None:
    known = calibration_from(weeks(1_600, spread), AS_OF, UTC)
    assert known.calibrated
    assert known.coverage == pytest.approx(0.8, abs=0.06)
    assert held(known, spread) == pytest.approx(0.8, abs=0.05)


def test_a_course_that_moves_moves_the_median() -> None:
    assert served(calibration_from(weeks(1_200, 0.02, drift=0.1), AS_OF, UTC))[MEDIAN] == pytest.approx(0.6, abs=0.01)


def test_it_takes_enough_weeks() -> None:
    assert not calibration_from(weeks(ENOUGH - 1, 0.1), AS_OF, UTC).calibrated
    assert calibration_from(weeks(ENOUGH, 0.1), AS_OF, UTC).calibrated


def test_few_weeks_change_little_and_many_all() -> None:
    few, more, many = (width(calibration_from(weeks(size, 0.01), AS_OF, UTC)) for size in (40, 200, 1_200))
    assert width(UNKNOWN) > few > more > many
    assert few > 0.9 * width(UNKNOWN)
    assert many < 0.03


def test_weeks_that_are_not_over_do_not_count() -> None:
    misses = weeks(800, 0.1)
    last = max(miss.target for miss in misses)
    known = calibration_from(misses, last * DAY, UTC)
    assert known == calibration_from([miss for miss in misses if miss.target < last], last * DAY, UTC)
    assert known.student_weeks == 760


def test_each_week_is_calibrated_by_what_was_known_then() -> None:
    """What comes later changes no earlier calibration."""
    misses = weeks(800, 0.1)
    changed = [msgspec.structs.replace(miss, came=0.0) if miss.target >= FIRST + 70 else miss for miss in misses]
    ours, theirs = calibrations_by_week(misses, AS_OF, UTC), calibrations_by_week(changed, AS_OF, UTC)
    until = [known for known in ours if day_of(known.as_of) <= FIRST + 70]
    assert len(until) == 11
    assert theirs[: len(until)] == until
    assert theirs != ours
    assert [day_of(known.as_of) for known in ours[:3]] == [FIRST, FIRST + 7, FIRST + 14]
    assert [known.student_weeks for known in ours[:4]] == [0, 0, 40, 80]


def test_the_order_of_the_misses_does_not_matter() -> None:
    misses = weeks(400, 0.1)
    shuffled = Random(3).sample(misses, len(misses))
    ours, theirs = calibration_from(misses, AS_OF, UTC), calibration_from(shuffled, AS_OF, UTC)
    assert served(ours) == pytest.approx(served(theirs), abs=1e-9)
    assert ours.student_weeks == theirs.student_weeks


def test_networks_that_are_right_keep_their_weight_and_others_lose_it() -> None:
    chance = Random(5)
    right, wrong, familiar = [], [], []
    for place in range(800):
        came = 0.3 + 0.4 * chance.random()
        origin = FIRST + 7 * (place // 40)
        for misses, middle, strangeness in ((right, came, 9.0), (wrong, 0.9, 9.0), (familiar, 0.9, 1.0)):
            row = tuple(middle + (level - 0.5) * 0.02 for level in LEVELS)
            misses.append(Miss(origin, 0.5, 0.5, came, row, 0, 30, strangeness=strangeness))
    assert calibration_from(right, AS_OF, UTC).weights[0][0] > 0.9
    assert calibration_from(wrong, AS_OF, UTC).weights[0][0] < 0.2
    assert calibration_from(familiar, AS_OF, UTC).weights[0][0] < 0.5


def test_one_quiet_week_of_many_students_is_no_proof_against_the_networks() -> None:
    """Networks expect some work in the week; nothing came to anyone. The same from week to week is another matter."""

    def weight(students: int, weeks: int) -> float:
        row = tuple(0.5 + 0.004 * level for level in LEVELS)
        quiet = [Miss(FIRST + 7 * week, 0.5, 0.5, 0.5, row, 0, 30) for week in range(weeks) for _ in range(students)]
        return calibration_from(quiet, AS_OF, UTC).weights[0][0]

    assert weight(400, 1) > 0.9
    assert weight(20, 20) < 0.5


def test_who_was_away_is_told_apart() -> None:
    moving, resting = weeks(800, 0.2), weeks(800, 0.0, away=20)
    known = calibration_from([*moving, *resting], AS_OF, UTC)
    gone = state_of(20, 30, has_calendar=False, due=False)
    assert width(known, state=gone) < 0.02 < 0.2 < width(known)


def test_states_are_told_apart_by_what_is_known_of_the_week() -> None:
    cases = [(0, 3), (0, 10), (0, 30), (8, 30), (20, 30)]
    states = [
        state_of(away, known_for, has_calendar=has_calendar, due=due)
        for has_calendar, due in ((False, False), (True, False), (True, True))
        for away, known_for in cases
    ]
    assert len(set(states)) == len(states) == 15


def test_longer_spans_are_wider() -> None:
    known = calibration_from(weeks(1_200, 0.1), AS_OF, UTC)
    widths = [width(known, ahead=float(days)) for days in (1, 7, 14, 30)]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


def test_confidence_is_what_came_true() -> None:
    """Half of the weeks nothing moves and half of them all, which nobody could know: what is stated is corrected."""
    known = calibration_from(weeks(1_600, 0.3), AS_OF, UTC)
    corrected = [known.confident(stated / 100) for stated in range(101)]
    assert corrected == sorted(corrected)
    assert 0.0 <= corrected[0] <= corrected[-1] <= 1.0
    row = served(known)
    close = np.mean([abs(miss.came - row[MEDIAN]) <= 0.05 for miss in weeks(4_000, 0.3, seed=2)])
    assert known.confident(float(close)) == pytest.approx(close, abs=0.06)
    assert UNKNOWN.confident(0.37) == 0.37


def test_familiar_students_keep_the_networks() -> None:
    assert (familiarity(0.5), familiarity(9.0), familiarity(float("inf"))) == (1.0, 0.0, 0.0)
    usual, strange = (
        calibration_from(weeks(ENOUGH, 0.01, strangeness=strangeness), AS_OF, UTC).weights[0][0]
        for strangeness in (0.9, 9.0)
    )
    assert usual > strange


def test_it_is_packed_and_unpacked_and_another_format_is_learned_anew() -> None:
    known = calibration_from(weeks(400, 0.1), AS_OF, UTC)
    assert Calibration.unpack(known.pack()) == known
    assert len(known.pack()) < 4_000
    assert Calibration.unpack(b"\x00" + known.pack()[1:]) is None
    assert Calibration.unpack(b"") is None


@settings(max_examples=50)
@given(
    st.lists(st.floats(-0.5, 1.5), min_size=len(LEVELS), max_size=len(LEVELS)).map(sorted),
    st.integers(0, 400),
    st.floats(0.0, 0.5),
    st.integers(0, 14),
    st.floats(1.0, 30.0),
)
def test_what_is_served_rises(quantiles: list[float], many: int, spread: float, state: int, ahead: float) -> None:
    one = np.array([0.5])
    case = ForecastCases(one, one, np.array([quantiles]), np.array([state]), np.array([ahead]))
    found = calibrated(case, calibration_from(weeks(many, spread), AS_OF, UTC))
    assert found.shape == (1, len(LEVELS))
    assert all(earlier <= later + 1e-12 for earlier, later in pairwise(found[0]))
