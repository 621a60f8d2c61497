"""Logistic regression on few of very many terms, converged: for the baselines, with SciPy."""

from collections.abc import Sequence
from math import exp
from typing import Any, TypeAlias

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

Terms: TypeAlias = Sequence[tuple[tuple[str, str], float]]
Numbers = NDArray[np.float64]


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
        """Maximum likelihood with a ridge of 1, by L-BFGS, to convergence."""
        from scipy.optimize import minimize
        from scipy.sparse import csr_matrix

        shape = (len(rights), len(self.places))
        rows: Any = csr_matrix((self.values, self.columns, self.starts), shape=shape)
        columns = rows.T.tocsr()

        def loss(weights: Numbers) -> tuple[float, Numbers]:
            logits = rows @ weights[:-1] + weights[-1]
            lost = np.logaddexp(0.0, logits) - rights * logits
            residuals = 1.0 / (1.0 + np.exp(-logits)) - rights
            ridge = weights[:-1]
            slope = np.append(columns @ residuals + ridge, residuals.sum())
            return float(lost.sum() + 0.5 * ridge @ ridge), slope

        found = minimize(loss, np.zeros(shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
        return Logistic(dict(zip(self.places, found.x[:-1].tolist(), strict=True)), float(found.x[-1]))
