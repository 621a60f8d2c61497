"""The daily points, their mean and their trend."""

import itertools
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.evidence.history import History, average, trend
from mastery_engine.domain.evidence.score import FourValues, score_of
from mastery_engine.domain.rules import Level, Rules
from tests.support.samples import TODAY

RULES = Rules()
values = st.one_of(st.none(), st.floats(0, 1))
four = st.tuples(values, values, values, values)
by_day = st.dictionaries(st.integers(TODAY - 89, TODAY), four, max_size=10).map(lambda found: sorted(found.items()))


def history(scored: list[tuple[int, FourValues]]) -> History:
    found = History()
    for day, components in scored:
        found = found.with_point(day, score_of(components, RULES))
    return found


def scores(*found: tuple[int, float]) -> list[tuple[int, float]]:
    """Scores of so many days back, oldest first."""
    return [(TODAY - back, score) for back, score in found]


def test_before_anything_there_is_nothing() -> None:
    assert History().newest is None
    assert list(History().points()) == []
    assert average([]) is None
    assert trend([], TODAY) == "stable"


@given(by_day)
def test_what_was_put_in_comes_out_to_4_decimals(scored: list[tuple[int, FourValues]]) -> None:
    found = history(scored)
    kept = list(found.points())
    assert found.newest == (scored[-1][0] if scored else None)
    assert len(found.packed) == 13 * len(scored)
    for point, (day, components) in zip(kept, scored, strict=True):
        score = score_of(components, RULES)
        assert (point.day, point.rank) == (day, score.rank)
        assert point.score == pytest.approx(score.score, abs=0.50001e-4)
        # None stays None: a zero is evidence, and nothing is none.
        assert point.components == pytest.approx(components, abs=0.50001e-4)
        assert [value is None for value in point.components] == [value is None for value in components]


@given(by_day, st.integers(TODAY - 91, TODAY + 2), st.integers(TODAY - 91, TODAY + 2))
def test_a_range_of_days_has_both_its_ends(scored: list[tuple[int, FourValues]], first: int, last: int) -> None:
    found = history(scored)
    assert [point.day for point in found.points(first=first, last=last)] == [
        day for day, _ in scored if first <= day <= last
    ]
    assert list(found.since(first).points()) == list(found.points(first=first))
    assert list(found.before(first).points()) == list(found.points(last=first - 1))
    in_range = found.points(first=first, last=last)
    assert found.scores(first=first, last=last) == [(point.day, point.score) for point in in_range]


def test_a_day_has_one_point_its_last() -> None:
    found = history([(TODAY - 1, (0.1, 0.1, 0.1, 0.1)), (TODAY, (0.2, None, None, None))])
    changed = found.with_point(TODAY, score_of((1.0, 1.0, 1.0, None), RULES))
    assert [(point.day, point.score) for point in changed.points()] == [(TODAY - 1, 0.1), (TODAY, 0.9)]
    assert [point.score for point in found.points()] == [0.1, 0.08]


def test_dropping_nothing_gives_the_very_same_history_back() -> None:
    found = history([(TODAY, (0.1, 0.1, 0.1, 0.1))])
    assert found.since(TODAY) is found
    assert found.since(TODAY + 1) == History()
    assert found.before(TODAY + 1) is found
    assert found.before(TODAY) == History()


def test_the_level_of_a_day_is_kept_also_among_sixteen() -> None:
    rules = Rules(levels=tuple(Level(f"l{n}", n / 16) for n in range(16)))
    found = History().with_point(TODAY, score_of((1.0, 1.0, 1.0, 1.0), rules))
    assert [(point.rank, point.score, point.components) for point in found.points()] == [(15, 1.0, (1, 1, 1, 1))]


def test_the_average_is_the_mean_of_the_daily_points() -> None:
    assert average(scores((40, 0.2), (3, 0.3), (0, 0.7))) == pytest.approx(0.4, abs=1e-12)


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        ([(0, 0.9)], "stable"),
        ([(7, 0.5), (0, 0.51)], "stable"),  # a change of 0.01 in a week is none
        ([(7, 0.5), (0, 0.5101)], "improving"),
        ([(7, 0.51), (0, 0.5)], "stable"),
        ([(7, 0.5101), (0, 0.5)], "declining"),
        ([(1, 0.5), (0, 0.5014)], "stable"),  # 0.0098 a week
        ([(1, 0.5), (0, 0.5015)], "improving"),  # 0.0105 a week
        ([(14, 0.0), (0, 0.9)], "stable"),  # the 14 days that end today begin 13 days ago
        ([(13, 0.0), (0, 0.9)], "improving"),
        ([(9, 0.5), (8, 0.6), (7, 0.7), (6, 0.0), (5, 0.8), (4, 0.9)], "improving"),  # one outlier decides nothing
        ([(3, 0.9), (2, 0.8), (1, 1.0), (0, 0.1)], "declining"),
    ],
    ids=range(11),
)
def test_the_trend_is_the_median_slope_of_two_weeks(scored: list[tuple[int, float]], expected: str) -> None:
    assert trend(scores(*scored), TODAY) == expected


def test_points_later_than_the_day_asked_for_are_not_in_its_trend() -> None:
    assert trend(scores((9, 0.5), (8, 0.5), (0, 0.9)), TODAY - 8) == "stable"
    assert trend(scores((9, 0.5), (8, 0.5), (0, 0.9)), TODAY) == "improving"


@given(st.dictionaries(st.integers(0, 30), st.integers(0, 10_000), max_size=12))
def test_the_trend_is_that_of_all_pairs_computed_apart(scored: dict[int, int]) -> None:
    found = scores(*[(back, scored[back] / 10_000) for back in sorted(scored, reverse=True)])
    recent = [(-back, score) for back, score in scored.items() if back <= 13]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) * 7 / 10_000 for a, b in itertools.combinations(recent, 2)]
    slope = median(slopes) if slopes else 0.0
    expected = "stable" if abs(slope) <= 0.01 + 1e-12 else "improving" if slope > 0 else "declining"
    assert trend(found, TODAY) == expected
