"""The head: from what is known to a probability. One hidden layer beside a line, monotone where a feature has a sign.

Weights of features with a sign are kept at that sign and the layer's own weights at or above 0 (Sill 1998).
"""

from struct import Struct

import numpy as np
from numpy.typing import NDArray

from mastery_engine.lab.skills.next_answer.features import FEATURES, LOGGED, SIGNS

Floats = NDArray[np.float32]

HIDDEN, EPOCHS, BATCH = 64, 16, 1_024
RATE, LAST_RATE, DECAY = 3e-3, 0.05, 16.0

# Bound once, here and in a head: at this size looking a thing up costs as much as what it does.
_pack = Struct(f"{len(FEATURES)}f").pack_into
_log1p, _tanh = np.log1p, np.tanh


class Head:
    """logit = line·u + out·tanh(hidden·u + bias), u the logged features; their scale is folded into the weights.

    It writes each answer into arrays of its own, so one thread at a time may ask it.
    """

    def __init__(self, weights: Floats, biases: Floats, out: Floats) -> None:
        """``weights`` has the hidden rows, then the line; ``biases`` becomes its last column, ``out`` gets a 1."""
        self.weights = np.ascontiguousarray(np.column_stack([weights, biases]), np.float32)
        self.out = np.append(out, 1.0).astype(np.float32)
        self._inputs = np.ones(len(FEATURES) + 1, np.float32)
        self._packed, self._counts = self._inputs.data, self._inputs[LOGGED]
        self._layer = np.empty(len(biases), np.float32)
        self._hidden = self._layer[:-1]
        self._weigh, self._sum = self.weights.dot, self.out.dot

    def logit(self, features: list[float]) -> float:
        """The log-odds of one answer."""
        layer, counts, hidden = self._layer, self._counts, self._hidden
        _pack(self._packed, 0, *features)
        _log1p(counts, counts)
        self._weigh(self._inputs, layer)
        _tanh(hidden, hidden)
        return float(self._sum(layer))


def logged(rows: Floats) -> Floats:
    """Counts and gaps as logarithms, in place."""
    counts = rows[:, LOGGED]
    np.log1p(counts, out=counts)
    return rows


def train(rows: Floats, right: Floats, *, seed: int = 0) -> Head:
    """Fit by Adam with a falling rate and weights that decay, the less in a step the more steps there are (Loshchilov
    and Hutter 2019); ``rows`` are logged already."""
    chance = np.random.default_rng(seed)
    middle, spread = rows.mean(0), rows.std(0) + np.float32(1e-3)
    rows = (rows - middle) / spread
    number, width = rows.shape
    sign = SIGNS[:, None]
    signed = np.broadcast_to(sign != 0, (width, HIDDEN))
    first = (chance.normal(size=(width, HIDDEN)) / np.sqrt(width)).astype(np.float32)
    first = np.where(signed, np.abs(first) * sign * 0.5, first).astype(np.float32)
    bias = (chance.normal(size=HIDDEN) * 0.5).astype(np.float32)
    out = (np.abs(chance.normal(size=HIDDEN)) / np.sqrt(HIDDEN) * 0.5).astype(np.float32)
    line = np.zeros(width, np.float32)
    share = (right.sum() + 0.5) / (number + 1)  # within 0 and 1 where all answers are alike
    usual = np.array([np.log(share / (1 - share))], np.float32)
    parameters = [first, bias, out, line, usual]
    means = [np.zeros_like(parameter) for parameter in parameters]
    squares = [np.zeros_like(parameter) for parameter in parameters]
    size = min(BATCH, number)
    steps = EPOCHS * (number // size)
    decay = DECAY / np.sqrt(steps)
    step = 0
    for _ in range(EPOCHS):
        order = chance.permutation(number)
        for start in range(0, number - size + 1, size):
            batch = order[start : start + size]
            inputs = rows[batch]
            layer = np.tanh(inputs @ first + bias)
            logit = layer @ out + inputs @ line + usual
            wrong = (1 / (1 + np.exp(-logit)) - right[batch]) / size
            back = (wrong[:, None] * out) * (1 - layer * layer)
            slopes = (inputs.T @ back, back.sum(0), layer.T @ wrong, inputs.T @ wrong, wrong.sum(keepdims=True))
            step += 1
            rate = RATE * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + np.cos(np.pi * step / steps)))
            for parameter, slope, mean, square in zip(parameters, slopes, means, squares, strict=True):
                mean += 0.1 * (slope - mean)
                square += 0.001 * (slope * slope - square)
                parameter -= rate * (mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8))
            first *= np.float32(1 - rate * decay)
            np.maximum(out, 0, out=out)
            np.copyto(first, np.maximum(first * sign, 0) * sign, where=signed)
            np.copyto(line, np.maximum(line * SIGNS, 0) * SIGNS, where=SIGNS != 0)
    scaled = np.concatenate([first, line[:, None]], 1) / spread[:, None]
    biases = np.append(bias, usual) - middle @ scaled
    return Head(scaled.T, biases, out)
