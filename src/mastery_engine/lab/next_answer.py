"""The engine's model of the next answer to an item: online levels, what came before the item, a monotone network.

The first stage is a Kalman filter on a student's general and skill levels, skill offsets and item difficulties. The
second takes its level together with fading counts, gaps, and effects: by how much answers to this item, or these
skills, have differed from the first stage after just such a past. The network sees of each student only effects that
others taught (fitted values would leak).
"""

from collections.abc import Sequence

import numpy as np

from mastery_engine.lab.monotone import Monotone, Single, fitted
from mastery_engine.lab.response_learning import learn, remember
from mastery_engine.lab.response_memory import Learner, Shared, sigmoid
from mastery_engine.lab.response_view import FEATURES, LOGGED, view
from mastery_engine.lab.responses import Response

MOST_ROTATIONS = 4
WORK = 1_200_000  # answers folded in all rotations; a large file needs fewer of them


class NextAnswer:
    """Fitted on some students, it predicts each answer of others from their earlier ones alone."""

    def __init__(self) -> None:
        self.shared = Shared()
        self._network: Monotone | None = None

    def fit(self, students: Sequence[Sequence[Response]], seed: int) -> None:
        """Fit in rotated orders, and keep of each its last part: there the effects are as full as they will be."""
        total = sum(len(responses) for responses in students)
        rotations = min(MOST_ROTATIONS, max(1, WORK // total), len(students))
        cases, right = np.empty((total, len(FEATURES)), np.float32), np.empty(total, np.float32)
        start = 0
        for rotation in range(rotations):
            first = rotation * len(students) // rotations
            last = (rotation + 1) * len(students) // rotations
            self.shared = Shared()
            if rotations > 1:
                for responses in (*students[:first], *students[last:]):
                    self._go(responses, None, 0)
            for responses in students[first:last]:
                self._go(responses, cases, start)
                right[start : start + len(responses)] = [one.right for one in responses]
                start += len(responses)
        self._network = fitted(cases, right, [sign for _, sign in FEATURES], LOGGED, seed)

    def _go(self, responses: Sequence[Response], cases: Single | None, start: int) -> None:
        learner, shared = Learner(), self.shared
        for place, response in enumerate(responses):
            seen = view(shared, learner, response)
            if cases is not None:
                cases[start + place] = seen.features
            learn(shared, learner, response, seen)
            remember(learner, response, seen)

    def predict(self, responses: Sequence[Response]) -> list[float]:
        """The probability of each answer of one student being right, as known just before it."""
        if self._network is None:
            raise ValueError("fit the model before it predicts")
        learner, shared, log_odds = Learner(), self.shared, self._network.log_odds
        predicted = []
        for response in responses:
            seen = view(shared, learner, response)
            predicted.append(sigmoid(log_odds(seen.features)))
            remember(learner, response, seen)
        return predicted
