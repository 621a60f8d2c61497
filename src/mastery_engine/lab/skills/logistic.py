"""Logistic regression on few of very many terms, converged: for the baselines."""

from collections.abc import Callable, Sequence
from math import exp
from typing import TypeAlias

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

Terms: TypeAlias = Sequence[tuple[tuple[str, str], float]]
Numbers = NDArray[np.float64]

MEMORY, MOST_STEPS, MOST_HALVINGS = 10, 500, 30
ENOUGH = 1e-7  # relative gain of a step


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
        """Maximum likelihood with a ridge of 1 on all but the intercept, to convergence."""
        columns, values, starts = np.array(self.columns), np.array(self.values), np.array(self.starts)
        lengths, width = np.diff(starts), len(self.places)

        def loss(weights: Numbers) -> tuple[float, Numbers]:
            logits = np.add.reduceat(values * weights[columns], starts[:-1]) + weights[-1]
            residuals = 0.5 * (1.0 + np.tanh(0.5 * logits)) - rights
            ridge = weights[:-1]
            slope = np.bincount(columns, values * np.repeat(residuals, lengths), minlength=width) + ridge
            lost = (np.logaddexp(0.0, logits) - rights * logits).sum() + 0.5 * ridge @ ridge
            return float(lost), np.append(slope, residuals.sum())

        found = lowest(loss, np.zeros(width + 1))
        return Logistic(dict(zip(self.places, found[:-1].tolist(), strict=True)), float(found[-1]))


def lowest(loss: Callable[[Numbers], tuple[float, Numbers]], at: Numbers) -> Numbers:
    """Where a smooth convex loss, given with its slope, is lowest: L-BFGS (Nocedal and Wright 2006, algorithm 7.5)."""
    value, slope = loss(at)
    past: list[tuple[Numbers, Numbers, float]] = []
    for _ in range(MOST_STEPS):
        way = -_scaled(slope, past)
        downhill = float(slope @ way)
        size = 1.0 if past else 1.0 / max(1.0, float(np.linalg.norm(slope)))
        for _ in range(MOST_HALVINGS):
            there = at + size * way
            value_there, slope_there = loss(there)
            if value_there <= value + 1e-4 * size * downhill:
                break
            size *= 0.5
        else:
            return at
        step, bend = there - at, slope_there - slope
        curvature = float(step @ bend)
        if curvature > 1e-12:
            past = [*past[-MEMORY + 1 :], (step, bend, 1.0 / curvature)]
        gained, at, value, slope = value - value_there, there, value_there, slope_there
        if gained <= ENOUGH * max(1.0, abs(value)):
            return at
    return at


def _scaled(slope: Numbers, past: list[tuple[Numbers, Numbers, float]]) -> Numbers:
    """The slope times the inverse curvature that the past steps tell of."""
    way, shares = slope.copy(), []
    for step, bend, weight in reversed(past):
        share = weight * float(step @ way)
        shares.append(share)
        way -= share * bend
    if past:
        step, bend, weight = past[-1]
        way *= 1.0 / (weight * float(bend @ bend))
    for (step, bend, weight), share in zip(past, reversed(shares), strict=True):
        way += (share - weight * float(bend @ way)) * step
    return way
