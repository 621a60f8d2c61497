"""A small network that may only rise, or only fall, with each feature that has a sign.

log-odds = c·u + a·tanh(W u + b) + o, u the features, logged where they are counts, then standardised. Where a feature
has a sign, its weight in c and all those in W have it, and a ≥ 0; so the sum is monotone (Sill 1998). Fitted by Adam
with the signs restored after each step.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Single = NDArray[np.float32]

UNITS = 48
EPOCHS, BATCH = 8, 1_024
RATE, LAST_RATE = 3e-3, 0.05


class Monotone:
    """The fitted network, its standardisation folded into its weights."""

    def __init__(self, weights: list[Single], mean: Single, spread: Single, logged: slice) -> None:
        inner, bias, outer, straight, offset = weights
        scaled = inner / spread[:, None]
        linear = straight / spread
        self._weights = np.ascontiguousarray(np.concatenate([scaled, linear[:, None]], axis=1).T)
        self._bias = np.append(bias - (mean / spread) @ inner, offset - (mean / spread) @ straight).astype(np.float32)
        self._outer, self._logged = outer, logged

    def log_odds(self, features: Sequence[float]) -> float:
        """The log-odds of one case."""
        row = np.array(features, dtype=np.float32)
        counts = row[self._logged]
        np.log1p(counts, out=counts)
        hidden = self._weights @ row
        hidden += self._bias
        units = hidden[:-1]
        np.tanh(units, out=units)
        return float(hidden[-1]) + float(units @ self._outer)


def fitted(cases: Single, right: Single, signs: Sequence[int], logged: slice, seed: int) -> Monotone:
    """Fit on cases, a row each, which are changed on the way: logged and standardised in place."""
    chance = np.random.default_rng(seed)
    np.log1p(cases[:, logged], out=cases[:, logged])
    mean, spread = cases.mean(axis=0), cases.std(axis=0) + np.float32(1e-3)
    cases -= mean
    cases /= spread
    sign = np.array(signs, dtype=np.float32)
    weights = _start(cases.shape[1], sign, float(right.mean()), chance)
    batches = max(1, len(cases) // BATCH)
    step, steps = 0, EPOCHS * batches
    first = [np.zeros_like(one) for one in weights]
    second = [np.zeros_like(one) for one in weights]
    for _ in range(EPOCHS):
        order = chance.permutation(len(cases))
        for batch in range(batches):
            chosen = order[batch * BATCH : (batch + 1) * BATCH]
            slopes = _slopes(weights, cases[chosen], right[chosen])
            step += 1
            rate = RATE * (LAST_RATE + (1.0 - LAST_RATE) * 0.5 * (1.0 + np.cos(np.pi * step / steps)))
            for one, slope, mean_slope, mean_square in zip(weights, slopes, first, second, strict=True):
                mean_slope += 0.1 * (slope - mean_slope)
                mean_square += 0.001 * (slope * slope - mean_square)
                one -= rate * (mean_slope / (1 - 0.9**step)) / (np.sqrt(mean_square / (1 - 0.999**step)) + 1e-8)
            _restore(weights, sign)
    return Monotone(weights, mean, spread, logged)


def _start(features: int, sign: Single, share: float, chance: np.random.Generator) -> list[Single]:
    inner = chance.normal(size=(features, UNITS)) / np.sqrt(features)
    inner = np.where(sign[:, None] != 0, np.abs(inner) * sign[:, None] * 0.5, inner)
    share = min(max(share, 1e-3), 1.0 - 1e-3)
    start = [
        inner,
        chance.normal(size=UNITS) * 0.5,
        np.abs(chance.normal(size=UNITS)) / np.sqrt(UNITS) * 0.5,
        np.zeros(features),
        np.array([np.log(share / (1.0 - share))]),
    ]
    return [one.astype(np.float32) for one in start]


def _slopes(weights: list[Single], cases: Single, right: Single) -> list[Single]:
    inner, bias, outer, straight, offset = weights
    hidden = np.tanh(cases @ inner + bias)
    log_odds = hidden @ outer + cases @ straight + offset
    wrong = (0.5 * (1.0 + np.tanh(0.5 * log_odds)) - right) / np.float32(len(cases))
    back = (wrong[:, None] * outer) * (1.0 - hidden * hidden)
    return [cases.T @ back, back.sum(axis=0), hidden.T @ wrong, cases.T @ wrong, np.array([wrong.sum()], np.float32)]


def _restore(weights: list[Single], sign: Single) -> None:
    inner, _, outer, straight, _ = weights
    np.maximum(outer, 0.0, out=outer)
    signed = sign != 0
    inner[signed] = np.maximum(inner[signed] * sign[signed, None], 0.0) * sign[signed, None]
    straight[signed] = np.maximum(straight[signed] * sign[signed], 0.0) * sign[signed]
