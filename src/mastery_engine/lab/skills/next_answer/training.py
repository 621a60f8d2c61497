"""Fits the head of the model of the next answer."""

import numpy as np

from mastery_engine.domain.skills.next_answer.features import SIGNS
from mastery_engine.domain.skills.next_answer.head import Floats, HeadWeights

HIDDEN, EPOCHS, BATCH = 64, 16, 1_024
RATE, LAST_RATE, DECAY = 3e-3, 0.05, 16.0


def train(rows: Floats, right: Floats, *, seed: int = 0) -> HeadWeights:
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
    weights = np.column_stack([scaled.T, biases]).astype("<f4")
    return HeadWeights(weights.tobytes(), out.astype("<f4").tobytes())
