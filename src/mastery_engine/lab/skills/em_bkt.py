"""Bayesian knowledge tracing with forgetting, fitted by pyBKT, as a baseline of the next answer. It takes pyBKT."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pyBKT.fit import M_step
from pyBKT.fit.EM_fit import run as e_step
from pyBKT.generate.random_model_uni import random_model_uni

from mastery_engine.lab.skills.answer_files import AnswerRow
from mastery_engine.lab.skills.bkt import by_skill

SEED = 0
MOST_STEPS, SETTLED = 100, 0.005  # pyBKT's own: steps, and the gain of log likelihood below which it stops


class EmBkt:
    """pyBKT (Badrinath et al. 2021) with forgetting: of each skill five parameters, by expectation maximization.

    The steps are pyBKT's, from one beginning by chance; the loop over them is here: its own fails under NumPy 2.4.
    An item is predicted by the mean of its skills that were fitted; where there is none, by the share that was right.
    """

    def __init__(self) -> None:
        self._skills: dict[str, tuple[float, float, float, float, float]] = {}
        self._usual = 0.5

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None:
        runs: dict[str, list[list[int]]] = defaultdict(list)
        for rows in students:
            for skill, run in by_skill(rows).items():
                runs[skill].append(run)
        self._usual = float(np.mean([row.right for rows in students for row in rows]))
        self._skills = {skill: most_likely(own, SEED) for skill, own in runs.items()}

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        known: dict[str, float] = {}
        predicted = []
        for row in rows:
            chances = []
            for skill in row.skills:
                if skill in self._skills:
                    start, learns, forgets, guess, slip = self._skills[skill]
                    level = known.get(skill, start)
                    chance = level * (1.0 - slip) + (1.0 - level) * guess
                    chances.append(chance)
                    seen = chance if row.right else 1.0 - chance
                    knew = level * (1.0 - slip if row.right else slip)
                    posterior = (
                        min(1.0, knew / seen) if seen > 0.0 else level
                    )  # what was held to be impossible says nothing
                    known[skill] = posterior * (1.0 - forgets) + (1.0 - posterior) * learns
            predicted.append(min(1.0, sum(chances) / len(chances)) if chances else self._usual)
        return predicted


def most_likely(runs: Sequence[Sequence[int]], seed: int) -> tuple[float, float, float, float, float]:
    """Known at first, learns, forgets, guess and slip of one skill, by runs of right (1) and wrong (0)."""
    lengths = np.array([len(run) for run in runs], dtype=np.int64)
    answers = np.concatenate([np.asarray(run, dtype=np.int32) for run in runs])
    data = {
        "data": answers[None, :] + 1,  # pyBKT's 1 is wrong, its 2 right
        "starts": np.cumsum(lengths) - lengths + 1,
        "lengths": lengths,
        "resources": np.ones(len(answers), dtype=np.int64),
    }
    chance = np.random.RandomState(seed)
    model = random_model_uni(1, 1, rand=chance)
    model["forgets"] = chance.uniform(size=1)
    before = -np.inf
    for _ in range(MOST_STEPS):
        with np.errstate(divide="ignore", invalid="ignore"):  # of what cannot happen the step makes 0 afterwards
            expected = e_step(data, model, *_nothing_counted(), 1, False)
        likelihood = float(expected["total_loglike"][0, 0])
        if abs(likelihood - before) <= SETTLED:
            break
        before = likelihood
        moves, shown = (expected[f"all_{name}_softcounts"].swapaxes(1, 2) for name in ("trans", "emission"))
        model = M_step.run(model, moves, shown, expected["all_initial_softcounts"])
    names = ("learns", "forgets", "guesses", "slips")
    learns, forgets, guess, slip = (float(model[name][0]) for name in names)
    return float(model["prior"]), learns, forgets, guess, slip


def _nothing_counted() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Counts of moves, of answers and of beginnings, which the step fills."""
    return np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), np.zeros((2, 1))
