"""Decayed sums, from which the quiz and quality components are computed: the weight of evidence halves in 14 days."""

from array import array
from struct import Struct

import msgspec

from mastery_engine.domain.moments import DAY, NEVER, Day, Micros

HALF_LIFE: Micros = 14 * DAY

# Decay is relative, so any fixed zero is correct; with this one 2^(days / 14) fits a double until the year 2058.
ZERO: Micros = 18_262 * DAY  # 2020-01-01
_DAY = Struct(">H")
_SUM = Struct("=d")


class DecayedSums(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Σ w·2^(t/14 d) and Σ w·2^(t/14 d)·x over the evidence of each day, so that whole days can be dropped exactly.

    Three packed columns with one entry for each day with evidence: the days, rising, and the two sums. ``weight`` and
    ``score`` are the sums over all days; ``latest`` is the time of the newest evidence.
    """

    days: bytes = b""
    weights: bytes = b""
    scores: bytes = b""
    weight: float = 0.0
    score: float = 0.0
    latest: Micros = NEVER

    @staticmethod
    def of(at: Micros, weight: float, score: float) -> "DecayedSums":
        """One piece of evidence: ``score`` in [0, 1], with its weight."""
        decayed = weight * 2.0 ** ((at - ZERO) / HALF_LIFE)
        scored = decayed * score
        return DecayedSums(_DAY.pack(at // DAY), _SUM.pack(decayed), _SUM.pack(scored), decayed, scored, at)

    def plus(self, at: Micros, weight: float, score: float) -> "DecayedSums":
        """With one more piece of evidence; the same as ``merge`` with ``of``, but quicker."""
        day = _DAY.pack(at // DAY)
        if self.days[-2:] != day:
            return self.merge(DecayedSums.of(at, weight, score))
        decayed = weight * 2.0 ** ((at - ZERO) / HALF_LIFE)
        scored = decayed * score
        weights, scores = self.weights, self.scores
        return DecayedSums(
            self.days,
            weights[:-8] + _SUM.pack(decayed + _SUM.unpack_from(weights, len(weights) - 8)[0]),
            scores[:-8] + _SUM.pack(scored + _SUM.unpack_from(scores, len(scores) - 8)[0]),
            self.weight + decayed,
            self.score + scored,
            max(self.latest, at),
        )

    def merge(self, other: "DecayedSums") -> "DecayedSums":
        if not self.days:
            return other
        days, weights, scores = self.days, self.weights, self.scores
        for number in range(len(other.days) // 2):
            day = other.days[2 * number : 2 * number + 2]
            weight, score = other.weights[8 * number : 8 * number + 8], other.scores[8 * number : 8 * number + 8]
            place = _place(days, day)
            end = place
            if days[2 * place : 2 * place + 2] == day:
                end = place + 1
                weight = _SUM.pack(_SUM.unpack(weight)[0] + _SUM.unpack_from(weights, 8 * place)[0])
                score = _SUM.pack(_SUM.unpack(score)[0] + _SUM.unpack_from(scores, 8 * place)[0])
            days = days[: 2 * place] + day + days[2 * end :]
            weights = weights[: 8 * place] + weight + weights[8 * end :]
            scores = scores[: 8 * place] + score + scores[8 * end :]
        latest = max(other.latest, self.latest)
        return DecayedSums(days, weights, scores, self.weight + other.weight, self.score + other.score, latest)

    def since(self, floor: Day) -> "DecayedSums":
        """Without the days before ``floor``."""
        drop = _place(self.days, _DAY.pack(floor))
        if not drop:
            return self
        if 2 * drop == len(self.days):
            return NO_SUMS
        weights, scores = self.weights[8 * drop :], self.scores[8 * drop :]
        totals = sum(array("d", weights)), sum(array("d", scores))
        return DecayedSums(self.days[2 * drop :], weights, scores, *totals, self.latest)

    def before(self, day: Day) -> "DecayedSums":
        """Without ``day`` and the days after it; what is left counts as of the end of its last day."""
        left = _place(self.days, _DAY.pack(day))
        if 2 * left == len(self.days):
            return self
        if not left:
            return NO_SUMS
        weights, scores = self.weights[: 8 * left], self.scores[: 8 * left]
        totals = sum(array("d", weights)), sum(array("d", scores))
        (last,) = _DAY.unpack_from(self.days, 2 * left - 2)
        return DecayedSums(self.days[: 2 * left], weights, scores, *totals, (last + 1) * DAY - 1)

    def standing(self, at: Micros, floor: Day) -> tuple[float, float]:
        """Weight and weighted score of the days from ``floor`` on, scaled so that evidence at ``at`` counts in full."""
        sums = self.since(floor)
        scale = 2.0 ** ((ZERO - at) / HALF_LIFE)
        return sums.weight * scale, sums.score * scale

    def mean(self, floor: Day) -> float | None:
        """Σ w·2^(t/14 d)·x / Σ w·2^(t/14 d) over the days from ``floor`` on, in [0, 1]; None if there are none."""
        if self.latest < floor * DAY:
            return None
        sums = self if self.days[:2] >= _DAY.pack(floor) else self.since(floor)
        mean = sums.score / sums.weight
        return min(1.0, mean)


def _place(days: bytes, day: bytes) -> int:
    """The place of the first day that is not before ``day``; big-endian days compare like bytes."""
    place = len(days) // 2
    while place and days[2 * place - 2 : 2 * place] >= day:
        place -= 1
    return place


NO_SUMS = DecayedSums()
