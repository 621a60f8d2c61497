"""The simple head, and how far the network counts beside it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mastery_engine.domain.skills.next_answer.features import FEATURES, SIGNS
from mastery_engine.domain.skills.next_answer.head import SHIPPED, WIDTH, Floats, Head, HeadWeights, shipped_head
from mastery_engine.lab.skills.next_answer.head import Fold, fitted_head
from mastery_engine.lab.skills.next_answer.simple import PLACES, fit_line, mixed, share_of
from mastery_engine.lab.skills.next_answer.training import train

NAMES = [feature.name for feature in FEATURES]


def answers(number: int, seed: int, **weights: float) -> tuple[Floats, NDArray[np.float32]]:
    """Features at random, and answers that go by some of them."""
    chance = np.random.default_rng(seed)
    rows = np.zeros((number, WIDTH), np.float32)
    rows[:, PLACES] = chance.exponential(0.7, (number, len(PLACES)))
    rows[:, 0] = chance.normal(0.3, 1.0, number)
    logits = rows @ np.array([weights.get(name, 0.0) for name in NAMES])
    return rows, (logits > chance.logistic(size=number)).astype(np.float32)


def test_few_students_leave_the_shipped_line_and_many_have_their_own() -> None:
    rows, right = answers(60_000, 1, **{"first estimate": 2.0, "right, half-life 8": 0.5})
    few, many = fit_line(rows[:600], right[:600], 6), fit_line(rows, right, 6_000)
    shipped = np.array([SHIPPED.get(name, 0.0) for name in NAMES])
    assert np.abs(few[:-1] - shipped).max() < 0.25 < np.abs(many[:-1] - shipped).max() / 3
    assert many[NAMES.index("first estimate")] > 1.8
    assert many[NAMES.index("right, half-life 8")] == pytest.approx(0.5, abs=0.1)
    assert set(np.flatnonzero(many[:-1])) <= set(PLACES)


def test_few_students_say_less_of_the_level_than_of_what_tells_answers_apart() -> None:
    """Ten students know more than the levels say: others are not taken to, as far as the features can tell."""
    rows, right = answers(500, 5, **{"first estimate": 1.6})
    line, levels = fit_line(rows, np.maximum(right, rows[:, 1] > 9.0), 10), rows[:, 0]
    easier = fit_line(rows, np.where(np.arange(500) % 3 == 0, 1.0, right).astype(np.float32), 10)
    expected = (1 / (1 + np.exp(-levels))).mean()
    for fitted in (line, easier):
        means = (1 / (1 + np.exp(-(rows @ fitted[:-1] + fitted[-1])))).mean()
        assert means == pytest.approx(expected, abs=0.06)
    assert line[0] > SHIPPED["first estimate"] + 0.1


def test_what_never_varied_among_the_answers_has_no_weight_and_keeps_what_it_had() -> None:
    """Such a feature may vary among other students: no weight begun by chance may then decide."""
    rows, right = answers(3_000, 6, **{"first estimate": 1.0, "right, half-life 8": 0.5})
    traits, spread = NAMES.index("traits"), np.random.default_rng(7)
    rows[:, traits] = 0.7 + spread.normal(0.0, 1e-3, len(rows))
    other = rows[:200].copy()
    other[:, [traits, NAMES.index("same item")]] += 3.0
    fresh = train(rows, right)
    assert Head(fresh).logits(other) == pytest.approx(Head(fresh).logits(rows[:200]), abs=1e-5)
    varied = rows.copy()
    varied[:, traits] = spread.normal(0.0, 1.0, len(rows))
    known = train(varied, (varied[:, traits] > spread.logistic(size=len(rows))).astype(np.float32))
    again = Head(train(rows, right, before=known))
    raised = (again.logits(other) - again.logits(rows[:200])).mean()
    assert raised > 0.5, "what was learned before is kept"


def test_no_weight_goes_against_its_sign() -> None:
    rows, right = answers(40_000, 2, **{"skill right, half-life 1": -1.0, "wrong, half-life 8": 1.0})
    line = fit_line(rows, right, 4_000)
    assert (line[:-1] * SIGNS >= 0.0).all()
    assert line[NAMES.index("skill right, half-life 1")] == 0.0


def test_predictions_start_at_what_levels_say_on_the_mean() -> None:
    rows, right = answers(400, 3, **{"first estimate": 1.0})
    line = fit_line(rows, 1.0 - right, 2)  # two students who get all wrong that others get right
    chances, levels = (1 / (1 + np.exp(-logits)) for logits in (rows @ line[:-1] + line[-1], rows[:, 0]))
    assert chances.mean() == pytest.approx(levels.mean(), abs=0.03)


def test_the_network_counts_as_far_as_students_speak_for_it() -> None:
    chance = np.random.default_rng(4)
    truth = chance.normal(0.0, 2.0, 4_000)
    right = (truth > chance.logistic(size=4_000)).astype(float)
    noise = chance.normal(0.0, 2.0, 4_000)
    assert share_of(np.zeros(4_000), truth, right, 4_000) > 0.9
    assert share_of(np.zeros(4_000), truth, right, 10) == pytest.approx(0.2, abs=0.03)
    assert share_of(truth, noise, right, 4_000) < 0.1


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_mixed_head_is_between_the_two(share: float) -> None:
    chance = np.random.default_rng(5)
    weights, out = chance.normal(0.0, 0.1, (4, WIDTH + 1)).astype("<f4"), chance.uniform(0.0, 1.0, 3).astype("<f4")
    network = HeadWeights(weights.tobytes(), out.tobytes())
    line = np.frombuffer(shipped_head().weights, "<f4")
    rows = chance.exponential(1.0, (50, WIDTH)).astype(np.float32)
    both = Head(network).logits(rows), Head(shipped_head()).logits(rows)
    expected = share * both[0] + (1.0 - share) * both[1]
    assert Head(mixed(line, network, share)).logits(rows) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("number", "near"), [(1_200, 0.85), (30_000, 0.95)])
def test_a_head_by_parts_of_the_students(number: int, near: float) -> None:
    weights = {"first estimate": 1.0, "right, half-life 8": 0.5}
    parts = [Fold(*answers(number // 3, seed, **weights), 200) for seed in range(3)]
    rows, _ = answers(2_000, 9, **weights)
    expected = rows @ np.array([weights.get(name, 0.0) for name in NAMES])
    found = Head(fitted_head(parts)).logits(rows)
    assert np.corrcoef(found, expected)[0, 1] > near
    alone = Head(fitted_head(parts[:1])).logits(rows)
    assert np.isfinite(alone).all(), "one part leaves nobody to hold out: then the line counts alone"
