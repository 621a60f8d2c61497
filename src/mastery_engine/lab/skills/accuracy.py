"""How good probabilities of right answers are."""

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BINS = 10
SMALLEST = 1e-6


class Accuracy(msgspec.Struct, frozen=True):
    """A model's figures; ``auc`` is None where all answers are alike.

    ``us_per_answer`` is what a prediction costs with its update, in CPU time; ``fit_s`` is by the clock.
    """

    auc: float | None
    log_loss: float
    brier: float
    ece: float
    fit_s: float
    us_per_answer: float


def auc(right: Floats, predicted: Floats) -> float | None:
    """The share of pairs of a right and a wrong answer that are ordered so; ties count half (Hanley, McNeil 1982)."""
    rights = int(right.sum())
    wrongs = len(right) - rights
    if not rights or not wrongs:
        return None
    _, places, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[places]
    return float((ranks[right == 1.0].sum() - rights * (rights + 1) / 2.0) / (rights * wrongs))


def calibration(right: Floats, predicted: Floats) -> list[tuple[float, float, int]]:
    """For each of ten equal bins with predictions: their mean, the share that was right, and how many there are."""
    bins = np.minimum((predicted * BINS).astype(np.int64), BINS - 1)
    members = [bins == place for place in range(BINS)]
    return [
        (float(predicted[member].mean()), float(right[member].mean()), int(member.sum()))
        for member in members
        if bool(member.any())
    ]


def accuracy(right: Floats, predicted: Floats, *, fit_s: float, us_per_answer: float) -> Accuracy:
    """All figures of one model."""
    sure = np.clip(predicted, SMALLEST, 1.0 - SMALLEST)
    log_loss = float(-(right * np.log(sure) + (1.0 - right) * np.log1p(-sure)).mean())
    gap = sum(abs(mean - share) * count for mean, share, count in calibration(right, predicted)) / len(right)
    brier = float(((predicted - right) ** 2).mean())
    return Accuracy(auc(right, predicted), log_loss, brier, gap, fit_s, us_per_answer)


def mean_of(figures: list[Accuracy]) -> Accuracy:
    """The mean over splits, of each figure over those that have it."""
    means: dict[str, float | None] = {}
    for name in Accuracy.__struct_fields__:
        values = [getattr(figure, name) for figure in figures]
        known = [value for value in values if value is not None]
        means[name] = sum(known) / len(known) if known else None
    return msgspec.convert(means, Accuracy)
