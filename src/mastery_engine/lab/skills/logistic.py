"""Logistic regression on few of very many terms, converged: for the baselines. It takes SciPy."""

from collections.abc import Sequence
from math import exp
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Terms: TypeAlias = Sequence[tuple[tuple[str, str], float]]
Numbers: TypeAlias = NDArray[np.float64]

CONVERGED = 1e-5  # the norm of the gradient of the loss, for each answer


class Logistic(Struct):
    """The fitted weights by term; terms that were never seen weigh nothing."""

    weights: dict[tuple[str, str], float]
    intercept: float

    def probability(self, terms: Terms) -> float:
        logit = self.intercept + sum(self.weights.get(name, 0.0) * value for name, value in terms)
        return 1.0 / (1.0 + exp(-max(-30.0, logit)))


class Design(Struct):
    """The rows to fit on, sparse."""

    places: dict[tuple[str, str], int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=lambda: [0])
    columns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, terms: Terms) -> None:
        for name, value in terms:
            if value:
                self.columns.append(self.places.setdefault(name, len(self.places)))
                self.values.append(value)
        self.starts.append(len(self.columns))

    def fit(self, rights: Numbers) -> Logistic:
        """Maximum likelihood with a ridge of 1 on all but the intercept, to convergence.

        By Newton's method with conjugate gradients in a trust region (Steihaug 1983): the loss is convex and smooth.
        """
        from scipy.optimize import minimize
        from scipy.sparse import csr_array

        shape = len(rights), len(self.places)
        loss = _Loss(csr_array((self.values, self.columns, self.starts), shape=shape), rights)
        lowest = minimize(
            loss.value_and_gradient,
            np.zeros(shape[1] + 1),
            jac=True,
            hessp=loss.curvature,
            method="trust-ncg",
            options={"gtol": CONVERGED * len(rights)},
        )
        *weights, intercept = lowest.x.tolist()
        return Logistic(dict(zip(self.places, weights, strict=True)), intercept)


class _Loss:
    """The summed log loss with its ridge. The last weight is the intercept's."""

    def __init__(self, rows: "csr_array", rights: Numbers) -> None:
        self._rows = rows
        self._columns = rows.T.tocsr()
        self._rights = rights
        self._at = np.empty(0)
        self._information = np.empty(0)

    def value_and_gradient(self, weights: Numbers) -> tuple[float, Numbers]:
        logits = self._weighed(weights)
        residuals = _chances(logits) - self._rights
        value = (np.logaddexp(0.0, logits) - self._rights * logits).sum() + 0.5 * weights[:-1] @ weights[:-1]
        return float(value), self._gathered(residuals, weights)

    def curvature(self, weights: Numbers, direction: Numbers) -> Numbers:
        """The Hessian at the weights times a direction. Many directions are asked about at the same weights."""
        if not np.array_equal(weights, self._at):
            chances = _chances(self._weighed(weights))
            self._at, self._information = weights.copy(), chances * (1.0 - chances)
        return self._gathered(self._information * self._weighed(direction), direction)

    def _weighed(self, weights: Numbers) -> Numbers:
        logits: Numbers = self._rows @ weights[:-1] + weights[-1]
        return logits

    def _gathered(self, by_row: Numbers, weights: Numbers) -> Numbers:
        return np.append(self._columns @ by_row + weights[:-1], by_row.sum())


def _chances(logits: Numbers) -> Numbers:
    return 0.5 * (1.0 + np.tanh(0.5 * logits))
