"""Fitting the forecast's networks, with NumPy alone: pinball loss, Adam, a cosine schedule, a fixed seed."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from mastery_engine.domain.forecast.network import Layer, Numbers

HIDDEN = (96, 64)
EPOCHS = 12
SMALLEST_BATCH, LARGEST_BATCH = 32, 512
RATE = 3e-3
SHRINKAGE = 1e-3  # decoupled weight decay (Loshchilov and Hutter 2019)
FIRST_MOMENT, SECOND_MOMENT, TINY = 0.9, 0.999, 1e-8  # Adam (Kingma and Ba 2015)
SCALE = 10.0  # scores move by hundredths; the network works in units of about 1
ROUNDED = 0.02  # within so much of a quantile, in the network's units, the loss is quadratic (Huber 1964)

Weights: TypeAlias = list[tuple[Numbers, Numbers]]


def fit_network(
    rows: Numbers, moves: Numbers, weights: Numbers, levels: Sequence[float], *, seed: int
) -> tuple[Layer, ...]:
    """The network whose outputs are the quantiles of ``moves`` at ``levels``; ``weights`` say what a case counts."""
    chance = np.random.default_rng(seed)
    wanted = (moves * SCALE).astype(np.float32)
    at = np.array(levels, dtype=np.float32)
    layers = _first(chance, [rows.shape[1], *HIDDEN, len(levels)], np.quantile(wanted, at).astype(np.float32))
    held = [part for layer in layers for part in layer]
    means, squares = [np.zeros_like(part) for part in held], [np.zeros_like(part) for part in held]
    for step, rate, batch in _schedule(chance, len(rows)):
        gradients = _gradients(layers, rows[batch], wanted[batch], weights[batch], at)
        for part, gradient, mean, square in zip(held, gradients, means, squares, strict=True):
            mean += (1 - FIRST_MOMENT) * (gradient - mean)
            square += (1 - SECOND_MOMENT) * (gradient * gradient - square)
            size = np.sqrt(square / (1 - SECOND_MOMENT**step)) + TINY
            part -= rate * (mean / (1 - FIRST_MOMENT**step) / size + SHRINKAGE * part * (part.ndim == 2))
    last, biases = layers[-1]
    return tuple(Layer.of(*layer) for layer in [*layers[:-1], (last / SCALE, biases / SCALE)])


def _first(chance: np.random.Generator, sizes: Sequence[int], biases: Numbers) -> Weights:
    """Weights to start from (He et al. 2015); the outputs start as the quantiles over all cases."""
    layers: Weights = []
    for place, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = place == len(sizes) - 2
        spread = np.float32(np.sqrt((0.1 if last else 2.0) / inputs))
        weights = chance.standard_normal((inputs, outputs), dtype=np.float32) * spread
        layers.append((weights, biases.copy() if last else np.zeros(outputs, dtype=np.float32)))
    return layers


def _schedule(chance: np.random.Generator, cases: int) -> Iterator[tuple[int, float, np.ndarray]]:
    """Each step's number from 1, its rate, and its cases."""
    size = min(max(SMALLEST_BATCH, cases // 64), LARGEST_BATCH, cases)
    each = cases // size
    for epoch in range(EPOCHS):
        order = chance.permutation(cases)
        for number in range(each):
            step = epoch * each + number + 1
            rate = RATE * 0.5 * (1.0 + float(np.cos(np.pi * step / (EPOCHS * each))))
            yield step, rate, order[number * size : (number + 1) * size]


def _gradients(layers: Weights, rows: Numbers, wanted: Numbers, weights: Numbers, levels: Numbers) -> list[Numbers]:
    """The gradients of the mean pinball loss, for weights and biases of each layer in turn."""
    seen = [rows]
    for matrix, biases in layers[:-1]:
        seen.append(np.maximum(seen[-1] @ matrix + biases, 0.0))
    matrix, biases = layers[-1]
    missed = wanted[:, None] - (seen[-1] @ matrix + biases)
    slope = np.where(missed > 0, -levels, 1 - levels) * np.minimum(np.abs(missed) / ROUNDED, 1.0)
    back = (slope * (weights / len(rows))[:, None]).astype(np.float32)
    gradients: list[Numbers] = []
    for place in range(len(layers) - 1, -1, -1):
        gradients[:0] = [seen[place].T @ back, back.sum(axis=0)]
        if place:
            back = (back @ layers[place][0].T) * (seen[place] > 0)
    return gradients
