"""The head: from what is known to a probability. One hidden layer beside a line, monotone where a feature has a sign.

Weights of features with a sign are kept at that sign and the layer's own weights at or above 0 (Sill 1998).
"""

from types import MappingProxyType

import msgspec
import numpy as np
from numpy.typing import NDArray

from mastery_engine.domain.skills.next_answer.features import FEATURES, LOGGED

Floats = NDArray[np.float32]
WIDTH = len(FEATURES)
MOST = 1e4


class HeadWeights(msgspec.Struct, frozen=True, array_like=True):
    """Weights in 32 bits: of each unit, then of the line, those of features and a bias; and what each unit counts."""

    weights: bytes
    out: bytes


# What levels and counts say of the next answer anywhere: between the weights of three public data sets, which are near
# each other (.73, .79 and .03 of an estimate and of successes on the skill), and those of simulated classes in which
# skills are learned slowly (.95, 0 and .5). It serves until there is something to fit on, and a fit on little is shrunk
# towards it.
SHIPPED = MappingProxyType(
    {
        "first estimate": 0.8,
        "right, half-life 1": 0.09,
        "right, half-life 8": 0.06,
        "wrong, half-life 8": -0.07,
        "skill right, half-life 1": 0.55,
        "skill right, half-life 8": 0.2,
        "skill wrong, half-life 8": -0.02,
    }
)
SHIPPED_INTERCEPT = -0.35


def shipped_head() -> HeadWeights:
    """The head that serves where nothing was fitted: a line without units."""
    line = [SHIPPED.get(feature.name, 0.0) for feature in FEATURES]
    return HeadWeights(np.array([*line, SHIPPED_INTERCEPT], "<f4").tobytes(), b"")


class Head:
    """logit = line·u + out·tanh(hidden·u + bias), u the features, counts as logarithms."""

    def __init__(self, fitted: HeadWeights) -> None:
        """Raises ValueError if the weights are not those of this engine's features, or not finite."""
        out = np.frombuffer(fitted.out, "<f4")
        weights = np.frombuffer(fitted.weights, "<f4")
        if len(weights) != (len(out) + 1) * (WIDTH + 1):
            raise ValueError(f"the head must have {WIDTH} features, and as many units in both of its parts")
        if not ((np.abs(weights) <= MOST).all() and (np.abs(out) <= MOST).all()):
            raise ValueError(f"every weight must be a number from -{MOST:g} to {MOST:g}")
        weights = weights.reshape(len(out) + 1, WIDTH + 1)
        self._hidden, self._line, self._out = weights[:-1].T, weights[-1], out

    def logits(self, rows: Floats) -> Floats:
        """The log-odds for rows of features that are ``logged``."""
        rows = np.column_stack([rows, np.ones(len(rows), np.float32)])
        found: Floats = np.tanh(rows @ self._hidden) @ self._out + rows @ self._line
        return found


def logged(rows: Floats) -> Floats:
    """Counts and gaps as logarithms, in place."""
    counts = rows[:, LOGGED]
    np.log1p(counts, out=counts)
    return rows
