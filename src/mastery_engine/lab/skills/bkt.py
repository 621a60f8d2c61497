"""Bayesian knowledge tracing, as a baseline of the next answer."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import product

import numpy as np

from mastery_engine.lab.skills.answer_files import AnswerRow

STARTS = (0.1, 0.3, 0.5, 0.7, 0.9)
LEARNS = (0.01, 0.03, 0.1, 0.2, 0.4)
GUESSES = (0.05, 0.15, 0.3, 0.45)
SLIPS = (0.03, 0.08, 0.15, 0.3)
GRID = np.array(list(product(STARTS, LEARNS, GUESSES, SLIPS))).T
MOST_RUNS, LONGEST = 2_000, 50


def likeliest(runs: list[list[int]]) -> tuple[float, float, float, float]:
    """Known at first, learns, guess and slip by maximum likelihood over a grid of 400; up to 2,000 runs of 50 count."""
    kept = sorted((run[:LONGEST] for run in runs[:MOST_RUNS]), key=len, reverse=True)
    start, learns, guess, slip = GRID
    known = np.broadcast_to(start, (len(kept), len(start))).copy()
    total = np.zeros(len(start))
    for place in range(len(kept[0])):
        alive = [run[place] for run in kept if len(run) > place]
        right = np.array(alive, dtype=bool)[:, None]
        level = known[: len(alive)]
        chance = level * (1.0 - slip) + (1.0 - level) * guess
        total += np.log(np.where(right, chance, 1.0 - chance)).sum(axis=0)
        posterior = np.where(right, level * (1.0 - slip) / chance, level * slip / (1.0 - chance))
        known[: len(alive)] = np.minimum(1.0, posterior + (1.0 - posterior) * learns)
    best = GRID[:, int(total.argmax())]
    return float(best[0]), float(best[1]), float(best[2]), float(best[3])


def by_skill(rows: Sequence[AnswerRow]) -> dict[str, list[int]]:
    """A student's answers on each skill in order, right (1) or wrong (0)."""
    runs: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        for skill in row.skills:
            runs[skill].append(row.right)
    return runs


class Bkt:
    """Bayesian knowledge tracing by grid (Corbett and Anderson 1995): of each skill the four likeliest parameters.

    An item of several skills is predicted by the mean of theirs.
    """

    def __init__(self) -> None:
        self._skills: dict[str, tuple[float, float, float, float]] = {}
        self._usual = (0.5, 0.1, 0.2, 0.1)

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None:
        runs: dict[str, list[list[int]]] = defaultdict(list)
        everything: list[list[int]] = []
        for rows in students:
            for skill, run in by_skill(rows).items():
                runs[skill].append(run)
                everything.append(run)
        self._usual = likeliest(everything)
        self._skills = {skill: likeliest(own) for skill, own in runs.items()}

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        known: dict[str, float] = {}
        predicted = []
        for row in rows:
            chances = []
            for skill in row.skills:
                start, learns, guess, slip = self._skills.get(skill, self._usual)
                level = known.get(skill, start)
                chance = level * (1.0 - slip) + (1.0 - level) * guess
                chances.append(chance)
                posterior = level * (1.0 - slip) / chance if row.right else level * slip / (1.0 - chance)
                known[skill] = min(1.0, posterior + (1.0 - posterior) * learns)
            predicted.append(sum(chances) / len(chances))
        return predicted
