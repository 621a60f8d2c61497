"""Fits the head: a network beside a simple line, as far as held-out students speak for the network."""

from collections.abc import Sequence

import msgspec
import numpy as np

from mastery_engine.domain.skills.next_answer.head import Floats, Head, HeadWeights
from mastery_engine.lab.skills.next_answer.simple import fit_line, mixed, share_of
from mastery_engine.lab.skills.next_answer.training import train

FEW_ANSWERS = 20_000  # with no more than these each part of the students is held out in turn, else one
MOST_TRIED = 60_000  # answers that a network is trained on to see how far to go by it


class Fold(msgspec.Struct):
    """A part of the students: features of their answers, logged, how right these were, and how many students it is."""

    rows: Floats
    right: Floats
    students: int


def fitted_head(folds: Sequence[Fold], *, seed: int = 0) -> HeadWeights:
    """The head by all parts of the students."""
    whole = _joined(folds)
    share = _share(folds, seed=seed) if len(folds) > 1 else 0.0
    network = train(whole.rows, whole.right, seed=seed)
    return mixed(fit_line(whole.rows, whole.right, whole.students), network, share)


def _share(folds: Sequence[Fold], *, seed: int) -> float:
    """How much the network is to count, by parts of the students that it was not trained on."""
    few = sum(len(fold.right) for fold in folds) <= FEW_ANSWERS
    simple, network = [], []
    tried = folds if few else folds[-1:]
    for held in tried:
        others = _joined([fold for fold in folds if fold is not held])
        step = -(-len(others.right) // MOST_TRIED)
        rows, right = others.rows[::step], others.right[::step]
        line = fit_line(rows, right, others.students)
        simple.append(held.rows @ line[:-1] + line[-1])
        network.append(Head(train(rows, right, seed=seed)).logits(held.rows))
    right = np.concatenate([fold.right for fold in tried])
    return share_of(np.concatenate(simple), np.concatenate(network), right, sum(fold.students for fold in folds))


def _joined(folds: Sequence[Fold]) -> Fold:
    rows, right = (np.concatenate([getattr(fold, name) for fold in folds]) for name in ("rows", "right"))
    return Fold(rows, right, sum(fold.students for fold in folds))
