"""The models of the next answer that take an extra: deep knowledge tracing by JAX, and pyBKT."""

from collections.abc import Sequence
from math import log
from random import Random

import numpy as np
import pytest

from mastery_engine.lab.plots import COLOURS
from mastery_engine.lab.skills.accuracy import auc
from mastery_engine.lab.skills.answer_files import AnswerRow
from mastery_engine.lab.skills.answer_models import MODELS, FittedModel
from mastery_engine.lab.skills.extras import JAX, PYBKT, TAKEN, Extra

TRUTH = (0.2, 0.15, 0.04, 0.2, 0.1)  # known at first, learns, forgets, guess, slip


def needs(extra: Extra) -> None:
    if not extra.usable():
        pytest.skip(f"NOT TESTED: what takes {extra.brings}: {extra.install}")


def alternating(students: int, seed: int, answers: int = 40) -> list[list[AnswerRow]]:
    """Who has an item right has the next one wrong, and the other way round, nine times in ten: only sequence tells."""
    chance, classmates = Random(seed), []
    for _ in range(students):
        right, at, rows = int(chance.random() < 0.5), 0.0, []
        for place in range(answers):
            right = 1 - right if chance.random() < 0.9 else right
            at += chance.choice((20.0, 90_000.0))
            item = chance.randrange(10)
            rows.append(AnswerRow(place, f"i{item}", ("all", f"s{item % 3}")[: 1 + item % 2], right, at))
        classmates.append(rows)
    return classmates


def learned(students: int, seed: int) -> list[list[int]]:
    """Runs on one skill by students who learn and forget as ``TRUTH`` says."""
    start, learns, forgets, guess, slip = TRUTH
    chance, runs = Random(seed), []
    for _ in range(students):
        knows, run = chance.random() < start, []
        for _ in range(chance.randrange(1, 25)):
            run.append(int(chance.random() < (1.0 - slip if knows else guess)))
            knows = chance.random() >= forgets if knows else chance.random() < learns
        runs.append(run)
    return runs


def rows_of(run: Sequence[int], skill: str = "s") -> list[AnswerRow]:
    return [AnswerRow(place, "i", (skill,), right, 60.0 * place) for place, right in enumerate(run)]


@pytest.fixture(scope="module")
def deep() -> FittedModel:
    needs(JAX)
    model = MODELS["dkt"]()
    model.fit(alternating(80, 1))
    return model


def test_deep_tracing_learns_what_only_the_sequence_tells(deep: FittedModel) -> None:
    unseen = alternating(30, 2)
    right = np.array([float(row.right) for rows in unseen for row in rows[1:]])
    predicted = np.array([chance for rows in unseen for chance in deep.predict(rows)[1:]])
    area = auc(right, predicted)
    assert area is not None
    assert area > 0.8, "at best nine in ten; by counts of right and wrong it is a toss of a coin"


def test_deep_tracing_is_the_same_by_the_same_seed(deep: FittedModel) -> None:
    again = MODELS["dkt"]()
    again.fit(alternating(80, 1))
    (rows,) = alternating(1, 3)
    assert again.predict(rows) == deep.predict(rows)


def test_deep_tracing_carries_what_it_saw_into_the_next_window(deep: FittedModel) -> None:
    from mastery_engine.lab.skills.deep.sequences import WINDOW

    (rows,) = alternating(1, 4, WINDOW + 5)
    last = rows[WINDOW - 1]
    other = AnswerRow(last.number, last.item_id, last.skills, 1 - last.right, last.at)
    before, after = deep.predict(rows), deep.predict([*rows[: WINDOW - 1], other, *rows[WINDOW:]])
    assert len(before) == WINDOW + 5
    assert before[:WINDOW] == after[:WINDOW]
    assert abs(before[WINDOW] - after[WINDOW]) > 0.2


def test_deep_tracing_bears_what_it_never_saw(deep: FittedModel) -> None:
    rows = [AnswerRow(place, f"new{place}", ("a", "b", "c", "d"), place % 2, -60.0 * place) for place in range(9)]
    assert all(0.0 < chance < 1.0 for chance in deep.predict(rows))
    assert deep.predict([]) == []
    assert MODELS["dkt"]().predict(rows)[0] == pytest.approx(0.5, abs=0.2), "before it is fitted"


def test_pybkt_finds_what_is_likelier_than_the_truth() -> None:
    needs(PYBKT)
    from mastery_engine.lab.skills.em_bkt import EmBkt, most_likely

    runs = learned(200, 5)
    model = EmBkt()
    model.fit([rows_of(run) for run in runs])
    assert most_likely(runs, 0) == pytest.approx(TRUTH, abs=0.1)

    def likelihood(by: EmBkt) -> float:
        chances = [(right, chance) for run in runs for right, chance in zip(run, by.predict(rows_of(run)), strict=True)]
        return sum(log(chance if right else 1.0 - chance) for right, chance in chances)

    true = EmBkt()
    true._skills = {"s": TRUTH}
    assert likelihood(model) > likelihood(true)


def test_what_pybkt_fitted_is_predicted_as_by_its_own_function() -> None:
    needs(PYBKT)
    from pyBKT.fit import predict_onestep

    from mastery_engine.lab.skills.em_bkt import EmBkt

    model = EmBkt()
    model._skills = {"s": TRUTH}
    run = [1, 0, 0, 1, 1, 0, 1, 1, 1, 0]
    start, *others = TRUTH
    fitted = dict(zip(("learns", "forgets", "guesses", "slips"), np.array(others)[:, None], strict=True))
    answers = {
        "data": np.array([run], dtype=np.int32) + 1,
        "starts": np.array([1]),
        "lengths": np.array([len(run)]),
        "resources": np.ones(len(run), dtype=np.int64),
    }
    expected, _ = predict_onestep.run({**fitted, "prior": start}, answers, parallel=False)
    assert model.predict(rows_of(run)) == pytest.approx(expected)


def test_pybkt_means_the_skills_that_it_knows_and_bears_the_others() -> None:
    needs(PYBKT)
    from mastery_engine.lab.skills.em_bkt import EmBkt

    model = EmBkt()
    model.fit([rows_of(run, f"s.{number % 2}|") for number, run in enumerate(learned(40, 6))] + [rows_of([1], "once")])
    one, other, both, unknown = (
        model.predict([AnswerRow(0, "i", skills, 1, 0.0)])[0]
        for skills in (("s.0|",), ("s.1|",), ("s.0|", "new", "s.1|"), ("new",))
    )
    assert both == pytest.approx((one + other) / 2)
    assert unknown == pytest.approx(model._usual)
    assert all(0.0 <= chance <= 1.0 for chance in model.predict(rows_of([1, 0, 0, 1], "once")))


@pytest.mark.parametrize(
    "runs", [[[1]], [[0], [1]], [[1, 1, 1]], [[0, 0]], [[1] * 60, [0] * 60], [[1] * 30 + [0] * 30]]
)
def test_pybkt_stays_a_probability_for_extreme_runs(runs: list[list[int]]) -> None:
    needs(PYBKT)
    model = MODELS["pybkt"]()
    model.fit([rows_of(run) for run in runs])
    for run in ([1] * 40 + [0] * 40, [0] * 40 + [1] * 40):
        assert all(0.0 <= chance <= 1.0 for chance in model.predict(rows_of(run)))


def test_each_extra_is_declared_and_each_model_has_a_colour_of_its_own() -> None:
    import tomllib

    from tests.support.live import ROOT

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {extra.name for extra in TAKEN.values()} <= set(extras)
    assert set(TAKEN) <= set(MODELS)
    assert len(set(COLOURS)) >= len(MODELS)
