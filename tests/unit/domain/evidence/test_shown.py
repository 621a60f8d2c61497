"""A score as it is shown lies in the level that is shown beside it, whatever levels a school has."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mastery_engine.domain.evidence.history import History
from mastery_engine.domain.evidence.score import MasteryScore, score_of
from mastery_engine.domain.evidence.shown import at_least, shown_points, shown_score, shown_scores
from mastery_engine.domain.rules import PASS_MARK, STEPS, Level, Rules

RULES = Rules()
FOUR = (0.5, 0.5, 0.5, 0.5)


def rules_with(bounds: list[float]) -> Rules:
    """Levels at these bounds, those left out that begin too soon after the one before."""
    kept = [0.0]
    for bound in sorted(bounds):
        if bound - kept[-1] >= 1.001 / STEPS and bound < 1.0:
            kept.append(bound)
    return Rules(levels=tuple(Level(f"level {place}", bound) for place, bound in enumerate(kept)))


shares = st.floats(0.0, 1.0)
near_pass_mark = st.floats(PASS_MARK - 2e-4, PASS_MARK + 2e-4)
some_rules = st.lists(shares | near_pass_mark | st.just(PASS_MARK), max_size=15).map(rules_with)


@st.composite
def scored(draw: st.DrawFn) -> tuple[float, Rules]:
    """A score, near a bound more often than not, and rules."""
    rules = draw(some_rules | st.just(RULES))
    bound = draw(st.sampled_from([level.from_score for level in rules.levels] + [PASS_MARK]))
    near = st.floats(max(0.0, bound - 2e-4), min(1.0, bound + 2e-4))
    return draw(near | shares), rules


@given(scored())
@example((0.59996, RULES))
@example((0.49996, RULES))
@example((0.5999999996, RULES))
@example((0.33334, rules_with([0.33333])))
def test_what_is_shown_is_in_the_level_of_the_score(case: tuple[float, Rules]) -> None:
    score, rules = case
    shown = shown_score(score, rules)
    assert shown == round(shown, 4)
    assert abs(shown - score) <= 1.00001e-4
    assert rules.level_index(shown) == rules.level_index(score)


@given(scored(), st.integers(-3, 3), st.sampled_from([0.0, 5e-10, -5e-10, 1e-9, -1e-9, 5e-5]), st.integers(0, STEPS))
@example((0.5, RULES), 0, 5e-5, 0)
def test_levels_and_figures_go_by_decimals_to_the_last_bit(
    case: tuple[float, Rules], away: int, above: float, steps: int
) -> None:
    """Scores beside a bound, beside a step and in the middle of two, each some floats away."""
    score, rules = case
    for bound in [score, steps / STEPS, *[level.from_score for level in rules.levels]]:
        near = min(1.0, max(0.0, bound + above + away * 2.0**-54))
        assert rules.level_index(near) == sum(level.from_score <= round(near, 9) for level in rules.levels[1:])
        assert abs(shown_score(near, rules) - round(near, 4)) in (0.0, pytest.approx(1 / STEPS))
        if rules.beside_bounds.isdisjoint([round(near, 4)]):
            assert shown_score(near, rules) == round(near, 4)


@given(shares | near_pass_mark)
def test_what_is_shown_is_on_its_side_of_the_pass_mark(score: float) -> None:
    assert (shown_score(score, RULES) < PASS_MARK) == (round(score, 9) < PASS_MARK)


@given(scored(), shares)
def test_who_has_more_is_not_shown_with_less(case: tuple[float, Rules], other: float) -> None:
    score, rules = case
    least, most = sorted((score, other))
    assert shown_score(least, rules) <= shown_score(most, rules)


@given(scored())
def test_far_from_a_bound_it_is_rounded_as_usual(case: tuple[float, Rules]) -> None:
    score, rules = case
    bounds = [PASS_MARK, *[level.from_score for level in rules.levels]]
    if all(abs(score - bound) > 1e-4 for bound in bounds):
        assert shown_score(score, rules) == round(score, 4)


def test_it_is_never_rounded_up_to_a_bound_that_is_not_reached() -> None:
    assert [shown_score(score, RULES) for score in (0.59996, 0.599949, 0.6, 0.89999, 0.49999, 0.99996)] == [
        0.5999,
        0.5999,
        0.6,
        0.8999,
        0.4999,
        1.0,
    ]
    fine = rules_with([0.33333])
    assert (shown_score(0.33332, fine), shown_score(0.33333, fine)) == (0.3333, 0.3334)


def test_a_level_too_narrow_for_a_number_on_each_side_of_the_pass_mark_rules_alone() -> None:
    narrow = rules_with([0.49996, 0.50007])
    assert shown_score(0.49998, narrow) == 0.5


@given(scored())
def test_who_reaches_what_is_shown_as_needed_has_enough(case: tuple[float, Rules]) -> None:
    value, _ = case
    needed = at_least(value)
    assert needed == round(needed, 4)
    assert value - 1e-9 <= needed < value + 1e-4


def test_what_is_needed_is_not_rounded_up_by_an_error_of_floating_point() -> None:
    assert [at_least(value) for value in (0.75 - 0.7, 0.6 - 0.5999, 0.00001, 0.0)] == [0.05, 0.0001, 0.0001, 0.0]


# ---- what was known on a day


@given(st.lists(scored(), min_size=1, max_size=5), some_rules)
def test_a_days_score_is_in_the_level_of_the_day(cases: list[tuple[float, Rules]], later_rules: Rules) -> None:
    rules = cases[0][1]
    history = History()
    for day, (score, _) in enumerate(cases, 100):
        rank = rules.level_index(score)
        history = history.with_point(day, MasteryScore(score, rules.levels[rank].name, rank, FOUR, 1.0))
    points = shown_points(history, rules)
    assert [point.day for point in points] == list(range(100, 100 + len(cases)))
    for point, (score, _) in zip(points, cases, strict=True):
        assert point.rank == rules.level_index(score) == rules.level_index(point.score)
        assert abs(point.score - score) <= 1.5e-4
        assert point.components == FOUR
    for some in (rules, later_rules):
        shown = shown_points(history, some)
        assert all(some.level_index(point.score) == point.rank for point in shown)
        scores = [(point.day, point.score) for point in shown]
        assert shown_scores(history, some) == scores
        assert shown_scores(history, some, first=101) == [one for one in scores if one[0] >= 101]
        assert shown_scores(history, some, last=100) == [one for one in scores if one[0] <= 100]
    assert shown_points(history, rules, first=101) == points[1:]


def test_a_point_that_was_rounded_across_a_bound_is_shown_below_it() -> None:
    score = MasteryScore(0.59996, "developing", 1, FOUR, 1.0)
    (point,) = shown_points(History().with_point(100, score), RULES)
    assert (point.score, point.rank) == (0.5999, 1)
    fine = rules_with([0.33333])
    (point,) = shown_points(History().with_point(100, MasteryScore(0.33334, "level 1", 1, FOUR, 1.0)), fine)
    assert (point.score, point.rank) == (0.3334, 1)


def test_where_the_rules_have_changed_a_days_level_is_that_of_its_score_now() -> None:
    history = History().with_point(100, score_of((0.7, 0.7, 0.7, 0.7), RULES))
    stricter = Rules(levels=(Level("low", 0.0), Level("high", 0.99)))
    assert [(point.score, point.rank) for point in shown_points(history, stricter)] == [(0.7, 0)]


def test_a_day_beside_a_bound_that_was_set_since_is_the_same_in_both_readings() -> None:
    before = Rules(levels=(Level("low", 0.0), Level("high", 0.4999)))
    since = Rules(levels=(Level("low", 0.0), Level("high", 0.5)))
    history = History().with_point(100, MasteryScore(0.49991, "high", 1, FOUR, 1.0))
    assert shown_scores(history, since) == [(point.day, point.score) for point in shown_points(history, since)]
    assert before.near_bounds >= before.beside_bounds
