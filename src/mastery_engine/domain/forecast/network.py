"""A small network that gives the quantiles of how far a score moves: layers of numbers, evaluated with NumPy.

Quantile regression by a network with one hidden unit after another rectified, an output for each level: White 1992,
Taylor 2000; several of them averaged level by level (Lakshminarayanan et al. 2017 for ensembles).
"""

from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float32]

WIDEST = 5.0  # standard deviations: what is further out counts as this far


class Layer(msgspec.Struct, frozen=True, array_like=True):
    """Weights (``inputs`` rows of ``outputs``, half precision, row by row) and biases."""

    inputs: int
    outputs: int
    weights: bytes
    biases: bytes

    @staticmethod
    def of(weights: Numbers, biases: Numbers) -> "Layer":
        inputs, outputs = weights.shape
        return Layer(inputs, outputs, weights.astype("<f2").tobytes(), biases.astype("<f4").tobytes())

    def arrays(self) -> tuple[Numbers, Numbers]:
        weights = np.frombuffer(self.weights, "<f2").reshape(self.inputs, self.outputs).astype(np.float32)
        return weights, np.frombuffer(self.biases, "<f4").astype(np.float32)


class Ensemble(msgspec.Struct, frozen=True, array_like=True):
    """Networks with the same inputs, and the means and deviations (0: not used) by which inputs are scaled."""

    means: bytes
    deviations: bytes
    networks: tuple[tuple[Layer, ...], ...]


class Compiled:
    """An ensemble ready to compute."""

    def __init__(self, ensemble: Ensemble) -> None:
        self._means = np.frombuffer(ensemble.means, "<f4").astype(np.float32)
        self._deviations = np.frombuffer(ensemble.deviations, "<f4").astype(np.float32)
        used = self._deviations > 0
        self._scales = np.divide(1.0, self._deviations, out=np.zeros_like(self._deviations), where=used)
        self._networks = [[layer.arrays() for layer in layers] for layers in ensemble.networks]

    @property
    def inputs(self) -> int:
        return len(self._means)

    @property
    def is_finite(self) -> bool:
        """Whether every number is one that can be computed with."""
        layers = chain.from_iterable(chain.from_iterable(self._networks))
        return all(np.isfinite(numbers).all() for numbers in (self._means, self._deviations, *layers))

    def quantiles(self, rows: Sequence[Sequence[float]]) -> Numbers:
        """For each row of inputs the quantiles, rising: the mean over the networks."""
        scaled = self.scaled(np.asarray(rows, dtype=np.float32))
        found: Numbers = np.mean([rising(forward(layers, scaled)) for layers in self._networks], axis=0)
        return found

    def scaled(self, rows: Numbers) -> Numbers:
        """Inputs as the networks take them: in standard deviations, cut at ``WIDEST``."""
        found: Numbers = np.clip((rows - self._means) * self._scales, -WIDEST, WIDEST)
        return found


def forward(layers: Sequence[tuple[Numbers, Numbers]], rows: Numbers) -> Numbers:
    """What one network answers, before its answers are put in order."""
    for weights, biases in layers[:-1]:
        rows = np.maximum(rows @ weights + biases, 0.0)
    weights, biases = layers[-1]
    found: Numbers = rows @ weights + biases
    return found


def rising(quantiles: Numbers) -> Numbers:
    """Quantiles put in order, which never makes them worse (Chernozhukov et al. 2010)."""
    found: Numbers = np.sort(quantiles, axis=1)
    return found
