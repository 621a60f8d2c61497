"""Deep knowledge tracing (Piech et al. 2015): fitted with early stopping, asked as every other model."""

from collections.abc import Iterator, Sequence

import jax
import numpy as np

from mastery_engine.lab.skills.answer_files import AnswerRow
from mastery_engine.lab.skills.deep.network import Weights, begun, chances, drawn, loss, nothing_seen, trained
from mastery_engine.lab.skills.deep.sequences import Answers, Vocabulary, windows

SEED = 0
TOGETHER = 16  # students side by side
HELD_OUT = 10  # of so many students one tells when to stop
MOST_PASSES, PATIENCE = 60, 5


class DeepTracing:
    """An LSTM over a student's answers: item, skills, result and the time since the one before."""

    def __init__(self) -> None:
        self._vocabulary = Vocabulary({}, {}, 1)
        self._weights: Weights = drawn(jax.random.key(SEED), 0, 0)

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None:
        """Passes over the students until those held out are predicted no better for five; the best one counts."""
        held_out, learning = students[::HELD_OUT], [rows for place, rows in enumerate(students) if place % HELD_OUT]
        self._vocabulary = known = Vocabulary.of(learning)
        key = jax.random.key(SEED)
        learned = begun(key, len(known.items), len(known.skills))
        chance = np.random.default_rng(SEED)
        judged = list(self._side_by_side(held_out, chance))
        lowest, since = np.inf, 0
        for _ in range(MOST_PASSES):
            for batch in self._side_by_side(learning, chance):
                state = nothing_seen(TOGETHER)
                for window in windows(batch):
                    key, used = jax.random.split(key)
                    learned, state = trained(learned, state, window, used)
            reached, since = _total(learned.means, judged), since + 1
            if reached < lowest:
                lowest, since, self._weights = reached, 0, learned.means
            if since == PATIENCE:
                break

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        """The probability of each answer in turn, by what came before."""
        state, predicted = nothing_seen(1), list[float]()
        for window in windows(self._vocabulary.arrays([rows], 1)):
            probabilities, state = chances(self._weights, state, window)
            predicted += np.asarray(probabilities, dtype=np.float64)[0].tolist()
        return predicted[: len(rows)]

    def _side_by_side(self, students: Sequence[Sequence[AnswerRow]], chance: np.random.Generator) -> Iterator[Answers]:
        """The students in an order by chance, those of about the same length together."""
        near = np.argsort([len(rows) * chance.uniform(0.8, 1.25) for rows in students])
        batches = [near[start : start + TOGETHER] for start in range(0, len(near), TOGETHER)]
        for place in chance.permutation(len(batches)):
            yield self._vocabulary.arrays([students[number] for number in batches[place]], TOGETHER)


def _total(weights: Weights, batches: Sequence[Answers]) -> float:
    """The log loss over all batches."""
    total = 0.0
    for batch in batches:
        state = nothing_seen(TOGETHER)
        for window in windows(batch):
            lost, state = loss(weights, state, window)
            total += float(lost)
    return total
