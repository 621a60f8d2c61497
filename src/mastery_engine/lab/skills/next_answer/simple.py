"""A simple head: a logistic regression on the levels' estimate and a few counts, shrunk towards the shipped one.

With few answers nothing predicts better, and a new school has few. The answers of one student are alike, so that few
students say little of others however much they answer: the ridge grows by the design effect (Kish 1965). They say least
of how much others know. So features are taken from their means, and the level, which then is the mean prediction, is
held more firmly than the weights.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mastery_engine.domain.skills.next_answer.features import FEATURES, SIGNS
from mastery_engine.domain.skills.next_answer.head import SHIPPED, WIDTH, Floats, HeadWeights

RIDGE, LEVEL_RIDGE = 4.0, 100.0
ALIKE = 0.5  # the correlation between the residuals of one student's answers
TURNS = 25
STEPS = np.linspace(0.0, 1.0, 21)
FEW = 20.0  # students: of so many, half of what they speak for is believed

Numbers: TypeAlias = NDArray[np.floating[Any]]

_ALSO = ("skill wrong, half-life 1", "wrong, half-life 1")
PLACES = [place for place, feature in enumerate(FEATURES) if feature.name in (*SHIPPED, *_ALSO)]
_FIRST = next(place for place, feature in enumerate(FEATURES) if feature.name == "first estimate")


def fit_line(rows: Floats, right: Numbers, students: int) -> Numbers:
    """The weights of all features, most of them 0, and the intercept; ``rows`` are logged, of so many students.

    It starts where predictions are on the mean what levels say, and no weight goes against its feature's sign.
    """
    known = rows[:, PLACES].astype(np.float64)
    middle = known.mean(0)
    start = np.array([*(SHIPPED.get(FEATURES[place].name, 0.0) for place in PLACES), 0.0])
    inputs = np.column_stack([known - middle, np.ones(len(known))])
    start[-1] = _level(inputs @ start, _chances(rows[:, _FIRST].astype(np.float64)).mean())
    ridge = np.append(np.full(len(PLACES), RIDGE), LEVEL_RIDGE) * (1.0 + ALIKE * max(0.0, len(rows) / students - 1.0))
    signs = np.append(SIGNS[PLACES], 0.0)
    free = np.ones(len(start), bool)
    weights = _regressed(inputs, right, start, ridge, free)
    while (weights * signs < 0.0).any():
        free[int(np.argmin(weights * signs))] = False
        weights = _regressed(inputs, right, np.where(free, start, 0.0), ridge, free)
    line = np.zeros(WIDTH + 1)
    line[[*PLACES, WIDTH]] = weights
    line[-1] -= middle @ weights[:-1]
    return line


def share_of(simple: Numbers, network: Numbers, right: Numbers, students: int) -> float:
    """How much the network is to count beside the line, by the log-odds of both for students held out: the share of
    the least loss, and less of it the fewer students say so."""
    between = [simple + step * (network - simple) for step in STEPS]
    losses = [(np.logaddexp(0.0, logits) - right * logits).mean() for logits in between]
    return float(STEPS[int(np.argmin(losses))]) * students**2 / (students**2 + FEW**2)


def mixed(line: Numbers, network: HeadWeights, share: float) -> HeadWeights:
    """One head whose log-odds are so much of the network's, and the rest of the line's."""
    weights = np.frombuffer(network.weights, "<f4").reshape(-1, WIDTH + 1).copy()
    weights[-1] = share * weights[-1] + (1.0 - share) * line
    out = np.frombuffer(network.out, "<f4") * np.float32(share)
    return HeadWeights(weights.astype("<f4").tobytes(), out.astype("<f4").tobytes())


def _regressed(inputs: Numbers, right: Numbers, start: Numbers, ridge: Numbers, free: NDArray[np.bool_]) -> Numbers:
    """Weights of the greatest likelihood under a ridge around ``start``, by Newton's method; some are held there."""
    weights, chosen = start.copy(), inputs[:, free]
    for _ in range(TURNS):
        chances = _chances(inputs @ weights)
        slope = chosen.T @ (chances - right) + (ridge * (weights - start))[free]
        bend = (chosen * (chances * (1.0 - chances))[:, None]).T @ chosen + np.diag(ridge[free])
        weights[free] -= np.linalg.solve(bend, slope)
    return weights


def _level(logits: Numbers, wanted: float) -> float:
    """The intercept under which the mean probability is the wanted one, by Newton's method."""
    level = 0.0
    for _ in range(TURNS):
        chances = _chances(logits + level)
        level -= float((chances.mean() - wanted) / max((chances * (1.0 - chances)).mean(), 1e-3))
    return level


def _chances(logits: Numbers) -> Numbers:
    chances: Numbers = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return chances
