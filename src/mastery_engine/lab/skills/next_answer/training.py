"""Trains the network of the model of the next answer."""

from typing import TypeAlias

import numpy as np

from mastery_engine.domain.skills.next_answer.features import SIGNS
from mastery_engine.domain.skills.next_answer.head import WIDTH, Floats, HeadWeights

HIDDEN, EPOCHS, BATCH = 64, 16, 1_024
RATE, LAST_RATE, DECAY = 3e-3, 0.05, 16.0
AGAIN_EPOCHS, AGAIN_RATE = 4, 5e-4  # from weights that were fitted before
LEAST = 0.02  # the standard deviation of a feature, below which the answers at hand say nothing of its weight

Weights: TypeAlias = tuple[Floats, Floats, Floats, Floats, Floats]  # of units, their biases, what they count; the line


def train(rows: Floats, right: Floats, *, seed: int = 0, before: HeadWeights | None = None) -> HeadWeights:
    """Fit by Adam with a falling rate and weights that decay, the less in a step the more steps there are (Loshchilov
    and Hutter 2019); ``rows`` are logged already. It goes on from the weights ``before``, if there are any.

    A feature that hardly varies among these answers, and may among others, has no weight, or that of ``before``."""
    chance = np.random.default_rng(seed)
    middle, spread = rows.mean(0), rows.std(0)
    idle = spread < LEAST
    spread = np.where(idle, np.float32(1.0), spread)
    epochs, highest = (EPOCHS, RATE) if before is None else (AGAIN_EPOCHS, AGAIN_RATE)
    parameters = _begun(right, chance) if before is None else _scaled(before, middle, spread)
    first, bias, out, line, usual = parameters
    rows = (rows - middle) / spread
    rows[:, idle] = 0.0
    if before is None:
        first[idle] = 0.0
    number = len(rows)
    sign = SIGNS[:, None]
    signed = np.broadcast_to(sign != 0, first.shape)
    means = [np.zeros_like(parameter) for parameter in parameters]
    squares = [np.zeros_like(parameter) for parameter in parameters]
    size = min(BATCH, number)
    steps = epochs * (number // size)
    decay = DECAY / np.sqrt(steps)
    step = 0
    for _ in range(epochs):
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
            rate = highest * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + np.cos(np.pi * step / steps)))
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
    weights = np.column_stack([scaled.T, biases]).astype("<f4")
    return HeadWeights(weights.tobytes(), out.astype("<f4").tobytes())


def _begun(right: Floats, chance: np.random.Generator) -> Weights:
    """Weights at random, with the signs that they keep."""
    sign = SIGNS[:, None]
    first = (chance.normal(size=(WIDTH, HIDDEN)) / np.sqrt(WIDTH)).astype(np.float32)
    first = np.where(sign != 0, np.abs(first) * sign * 0.5, first).astype(np.float32)
    bias = (chance.normal(size=HIDDEN) * 0.5).astype(np.float32)
    out = (np.abs(chance.normal(size=HIDDEN)) / np.sqrt(HIDDEN) * 0.5).astype(np.float32)
    share = (right.sum() + 0.5) / (len(right) + 1)  # within 0 and 1 where all answers are alike
    return first, bias, out, np.zeros(WIDTH, np.float32), np.array([np.log(share / (1 - share))], np.float32)


def _scaled(before: HeadWeights, middle: Floats, spread: Floats) -> Weights:
    """Fitted weights, for rows in standard deviations from their mean."""
    weights = np.frombuffer(before.weights, "<f4").reshape(-1, WIDTH + 1)
    scaled = weights[:, :-1] * spread
    biases = weights[:, -1] + weights[:, :-1] @ middle
    out = np.frombuffer(before.out, "<f4").copy()
    return scaled[:-1].T.copy(), biases[:-1].copy(), out, scaled[-1].copy(), biases[-1:].copy()
