"""Decayed means by any half-life and any days, and what of them outlives a change of the half-life."""

from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mastery_engine.domain.courses.zone import zone_named
from mastery_engine.domain.evidence.decayed_sums import NO_SUMS, DecayedSums
from mastery_engine.domain.moments import DAY, Day, Micros, day_of
from mastery_engine.domain.rules import Rules
from tests.support.samples import HOUR, NOW, TODAY

Piece: TypeAlias = tuple[Micros, float, float]

FIRST = TODAY - 89
LOS_ANGELES = zone_named("America/Los_Angeles")
half_lives = st.sampled_from([1.0, 1.5, 3.0, 7.0, 14.0, 30.0, 365.0, 3_650.0])
pieces = st.lists(
    st.tuples(st.integers(NOW - 80 * DAY, NOW), st.floats(0.5, 100_000), st.floats(0, 1)), min_size=1, max_size=10
)


def sums(some: list[Piece], rules: Rules) -> DecayedSums:
    found = NO_SUMS
    for at, weight, score in some:
        found = found.plus(at, rules.day_of(at), weight, score, rules.half_life)
    return found


def mean(some: list[Piece], floor: Day, rules: Rules, *, half_life: float | None = None) -> float | None:
    """The contract's decayed mean, from the pieces themselves."""
    span = (half_life or rules.half_life_days) * DAY
    kept = [(w * 2 ** ((at - NOW) / span), x) for at, w, x in some if rules.day_of(at) >= floor]
    return sum(w * x for w, x in kept) / sum(w for w, _ in kept) if kept else None


@given(pieces, half_lives, st.sampled_from(["UTC", "America/Los_Angeles", "Asia/Kathmandu"]), st.integers(FIRST, TODAY))
def test_the_mean_is_the_formulas_by_any_half_life_from_any_day_on(
    some: list[Piece], days: float, name: str, floor: Day
) -> None:
    rules = Rules(half_life_days=days, zone=zone_named(name))
    expected = pytest.approx(mean(some, floor, rules), abs=1e-12)
    found = sums(some, rules)
    assert found.mean(floor) == found.mean(floor, rules.half_life) == expected
    assert found.since(floor).mean(floor) == expected
    assert sums(some[::-1], rules).mean(floor) == expected
    parts = [sums([piece], rules) for piece in some]
    assert sums(some[:3], rules).merge(sums(some[3:], rules)).mean(floor) == expected
    assert sum((len(part.days) for part in parts), 0) >= len(found.days)


@given(pieces, half_lives, st.integers(1990, 2140), st.integers(FIRST, TODAY))
@example([(NOW - 60 * DAY, 1.0, 1.0), (NOW, 1.0, 0.0)], 1.0, 2023, FIRST)
def test_the_mean_holds_in_any_year(some: list[Piece], days: float, year: int, floor: Day) -> None:
    """However near the zero from which weights count, and on either side of where it moves on."""
    moved = (year - 2026) * 365
    rules = Rules(half_life_days=days)
    then = [(at + moved * DAY, weight, score) for at, weight, score in some]
    for order in (then, then[::-1], sorted(then), sorted(then, reverse=True)):
        assert sums(order, rules).mean(floor + moved) == pytest.approx(mean(some, floor, rules), abs=1e-9)


def test_the_zero_moves_on_without_a_rest() -> None:
    """512 half-lives after 2020-01-01 the weights count from there; what came before is scaled by a power of two."""
    rules = Rules(half_life_days=1)
    turn = (18_262 + 512) * DAY
    some = [(turn - 3 * DAY, 2.0, 1.0), (turn - DAY, 1.0, 0.5), (turn, 1.0, 0.0), (turn - 2 * DAY, 4.0, 0.25)]
    found = sums(some, rules)
    expected = sum(w * 2.0 ** ((at - turn) / DAY) * x for at, w, x in some) / sum(
        w * 2.0 ** ((at - turn) / DAY) for at, w, _ in some
    )
    assert found.mean(0) == pytest.approx(expected, abs=1e-15)
    before = found.before(day_of(turn), rules.start_of)
    assert before.mean(0) == pytest.approx((2 * 0.25 + 4 * 0.5 * 0.25 + 0.5) / (0.5 + 2 + 1), abs=1e-15)
    assert before == before.merge(NO_SUMS) == NO_SUMS.merge(before)
    assert before.standing(turn - DAY, 0, rules.half_life)[0] == pytest.approx(0.5 + 2 + 1, abs=1e-12)


def test_evidence_of_one_half_life_before_weighs_half() -> None:
    rules = Rules(half_life_days=7)
    assert sums([(NOW - 7 * DAY, 1, 1.0), (NOW, 1, 0.0)], rules).mean(FIRST) == pytest.approx(1 / 3, abs=1e-12)
    assert sums([(NOW - 14 * DAY, 1, 1.0), (NOW, 1, 0.0)], rules).mean(FIRST) == pytest.approx(1 / 5, abs=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 80), st.floats(0.5, 100), st.floats(0, 1)), max_size=10), half_lives, half_lives
)
def test_a_new_half_life_counts_at_once_for_what_was_there(
    some: list[tuple[int, float, float]], old: float, new: float
) -> None:
    """Exactly, where evidence came at one time of the day; the weights within a day are those of then."""
    before, after = Rules(half_life_days=old), Rules(half_life_days=new)
    at_ten = [(NOW - back * DAY, weight, score) for back, weight, score in some]
    held = sums(at_ten, before)
    expected = mean(at_ten, FIRST, after)
    assert held.mean(FIRST, after.half_life) == pytest.approx(expected, abs=1e-9)
    assert held.with_half_life(after.half_life).mean(FIRST) == pytest.approx(expected, abs=1e-9)
    again = held.with_half_life(after.half_life).with_half_life(before.half_life)
    assert again.mean(FIRST) == pytest.approx(mean(at_ten, FIRST, before), abs=1e-9)


def test_within_a_day_evidence_stays_as_it_was_weighed() -> None:
    old, new = Rules(), Rules(half_life_days=7)
    day = [(NOW, 1.0, 1.0), (NOW - 6 * HOUR, 1.0, 0.0)]
    assert sums(day, old).mean(FIRST, new.half_life) == pytest.approx(mean(day, FIRST, old), abs=1e-12)
    assert sums(day, old).mean(FIRST, new.half_life) == pytest.approx(mean(day, FIRST, new), abs=0.01)


def test_evidence_after_a_change_of_the_half_life_joins_what_was_there() -> None:
    old, new = Rules(), Rules(half_life_days=7)
    held = sums([(NOW - 14 * DAY, 1.0, 1.0), (NOW - 7 * DAY, 1.0, 0.5)], old)
    found = held.plus(NOW, TODAY, 1.0, 0.0, new.half_life)
    expected = (0.25 * 1.0 + 0.5 * 0.5) / 1.75
    assert found.mean(FIRST) == pytest.approx(expected, abs=1e-12)
    assert found.plus(NOW, TODAY, 1.0, 0.0, new.half_life).mean(FIRST) == pytest.approx(0.5 / 2.75, abs=1e-12)
    theirs = sums([(NOW, 1.0, 0.0)], new)
    assert held.merge(theirs) == theirs.merge(held)
    assert held.merge(theirs).mean(FIRST) == pytest.approx(expected, abs=1e-12)
    assert held.plus(NOW, TODAY, 1.0, 0.0, old.half_life).half_life is None  # as older engines left it


def test_each_day_tells_its_weight_and_mean() -> None:
    rules = Rules(half_life_days=7, zone=LOS_ANGELES)
    start = rules.start_of(TODAY - 1)
    found = sums([(start + 14 * DAY // 2, 2.0, 0.5), (start, 1.0, 1.0), (start - 1, 1.0, 0.25)], rules)
    assert [day for day, _, _ in found.daily(0)] == [TODAY - 2, TODAY - 1, TODAY + 6]
    assert [score for _, _, score in found.daily(TODAY - 1)] == [1.0, 0.5]
    weights = [weight for _, weight, _ in found.daily(TODAY - 1)]
    eight_hours = 2 ** (8 / 24 / 7)  # days begin at eight, UTC
    assert weights == pytest.approx([eight_hours, 2 * eight_hours], abs=1e-12)
    assert list(NO_SUMS.daily(0)) == []
