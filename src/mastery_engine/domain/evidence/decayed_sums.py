"""Decayed sums, from which quiz and quality are computed: the weight of evidence halves in a half-life."""

from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import ldexp
from struct import Struct

import msgspec

from mastery_engine.domain.moments import DAY, NEVER, Day, Micros

HALF_LIFE: Micros = 14 * DAY  # of sums that state none: older engines knew no other

# Decay is relative, so any fixed zero is correct. It moves on by whole half-lives, which scales doubles exactly, before
# 2^(t/h) no longer fits a double: with a half-life of 14 days in 2039.
ZERO: Micros = 18_262 * DAY  # 2020-01-01
SPAN = 512  # half-lives
_DAY = Struct(">H")
_SUM = Struct("=d")


class DecayedSums(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Σ w·2^(t/h) and Σ w·2^(t/h)·x over the evidence of each day, so that whole days can be dropped exactly.

    Three packed columns with one entry for each day with evidence: the days, rising, and the two sums. ``weight`` and
    ``score`` are the sums over all days; ``latest`` is the time of the newest evidence. ``half_life`` is h, None for 14
    days. The newest day says from which zero t counts.
    """

    days: bytes = b""
    weights: bytes = b""
    scores: bytes = b""
    weight: float = 0.0
    score: float = 0.0
    latest: Micros = NEVER
    half_life: Micros | None = None

    @staticmethod
    def of(at: Micros, day: Day, weight: float, score: float, half_life: Micros) -> "DecayedSums":
        """One piece of evidence, of a moment on ``day``: ``score`` in [0, 1], with its weight."""
        decayed = weight * 2.0 ** ((at - _zero(day, half_life)) / half_life)
        scored = decayed * score
        return DecayedSums(
            _DAY.pack(day), _SUM.pack(decayed), _SUM.pack(scored), decayed, scored, at, _stated(half_life)
        )

    def plus(self, at: Micros, day: Day, weight: float, score: float, half_life: Micros) -> "DecayedSums":
        """With one more piece of evidence; the same as ``merge`` with ``of``, but quicker."""
        days, packed = self.days, _DAY.pack(day)
        last = days[-2:]
        is_next = last < packed and self.latest < at
        if not days or not (last == packed or is_next) or (self.half_life or HALF_LIFE) != half_life:
            return self.with_half_life(half_life).merge(DecayedSums.of(at, day, weight, score, half_life))
        zero = _zero(day, half_life)
        decayed = weight * 2.0 ** ((at - zero) / half_life)
        scored = decayed * score
        weights, scores = self.weights, self.scores
        if is_next:
            if _zero(self.newest, half_life) != zero:
                return self.merge(DecayedSums.of(at, day, weight, score, half_life))
            return DecayedSums(
                days + packed,
                weights + _SUM.pack(decayed),
                scores + _SUM.pack(scored),
                self.weight + decayed,
                self.score + scored,
                at,
                _stated(half_life),
            )
        return DecayedSums(
            days,
            weights[:-8] + _SUM.pack(decayed + _SUM.unpack_from(weights, len(weights) - 8)[0]),
            scores[:-8] + _SUM.pack(scored + _SUM.unpack_from(scores, len(scores) - 8)[0]),
            self.weight + decayed,
            self.score + scored,
            max(self.latest, at),
            self.half_life,
        )

    def merge(self, other: "DecayedSums") -> "DecayedSums":
        """The sums of both, with the half-life of those with the newer evidence."""
        if not self.days or not other.days:
            return other if other.days else self
        newer = max(self, other, key=_recency)
        half_life, newest = newer.half_life or HALF_LIFE, max(self.newest, other.newest)
        ours = self.with_half_life(half_life).counted_until(newest)
        more = other.with_half_life(half_life).counted_until(newest)
        days, weights, scores = ours.days, ours.weights, ours.scores
        for number in range(len(more.days) // 2):
            day = more.days[2 * number : 2 * number + 2]
            weight, score = more.weights[8 * number : 8 * number + 8], more.scores[8 * number : 8 * number + 8]
            place = _place(days, day)
            end = place
            if days[2 * place : 2 * place + 2] == day:
                end = place + 1
                weight = _SUM.pack(_SUM.unpack(weight)[0] + _SUM.unpack_from(weights, 8 * place)[0])
                score = _SUM.pack(_SUM.unpack(score)[0] + _SUM.unpack_from(scores, 8 * place)[0])
            days = days[: 2 * place] + day + days[2 * end :]
            weights = weights[: 8 * place] + weight + weights[8 * end :]
            scores = scores[: 8 * place] + score + scores[8 * end :]
        return DecayedSums(
            days,
            weights,
            scores,
            ours.weight + more.weight,
            ours.score + more.score,
            newer.latest,
            newer.half_life,
        )

    @property
    def decays_in(self) -> Micros:
        """The half-life, also where it is not stated."""
        return self.half_life or HALF_LIFE

    @property
    def newest(self) -> Day:
        """The newest day with evidence."""
        return int.from_bytes(self.days[-2:], "big")

    def counted_until(self, newest: Day) -> "DecayedSums":
        """The same sums from the zero that is right if ``newest`` is the newest day."""
        half_life = self.half_life or HALF_LIFE
        halvings = (_zero(self.newest, half_life) - _zero(newest, half_life)) // half_life
        if not halvings:
            return self
        weights, scores = (
            [ldexp(amount, halvings) for amount in array("d", sums)] for sums in (self.weights, self.scores)
        )
        return self._with_sums(weights, scores, half_life)

    def with_half_life(self, half_life: Micros) -> "DecayedSums":
        """The sums by another half-life: exact where evidence came at one time of the day, that of the newest.

        Evidence of one day stays weighed as it was.
        """
        before = self.half_life or HALF_LIFE
        if half_life == before or not self.days:
            return self
        zero_before, zero = _zero(self.newest, before), _zero(self.newest, half_life)
        times = [self.latest + (day - self.newest) * DAY for (day,) in _DAY.iter_unpack(self.days)]
        stated = [2.0 ** ((zero_before - at) / before) for at in times]  # one power after the other: none overflows
        decayed = [2.0 ** ((at - zero) / half_life) for at in times]
        weights, scores = (
            [amount * one * other for amount, one, other in zip(array("d", sums), stated, decayed, strict=True)]
            for sums in (self.weights, self.scores)
        )
        return self._with_sums(weights, scores, half_life)

    def _with_sums(self, weights: list[float], scores: list[float], half_life: Micros) -> "DecayedSums":
        packed = array("d", weights).tobytes(), array("d", scores).tobytes()
        return DecayedSums(self.days, *packed, sum(weights), sum(scores), self.latest, _stated(half_life))

    def since(self, floor: Day) -> "DecayedSums":
        """Without the days before ``floor``."""
        first = _DAY.pack(floor)
        if not self.days or self.days[:2] >= first:
            return self
        drop = _place(self.days, first)
        if 2 * drop == len(self.days):
            return NO_SUMS
        weights, scores = self.weights[8 * drop :], self.scores[8 * drop :]
        totals = sum(array("d", weights)), sum(array("d", scores))
        return DecayedSums(self.days[2 * drop :], weights, scores, *totals, self.latest, self.half_life)

    def before(self, day: Day, start_of: Callable[[Day], Micros]) -> "DecayedSums":
        """Without ``day`` and the days after it; what is left counts as of the end of its last day."""
        left = _place(self.days, _DAY.pack(day))
        if 2 * left == len(self.days):
            return self
        if not left:
            return NO_SUMS
        (last,) = _DAY.unpack_from(self.days, 2 * left - 2)
        known = self.counted_until(last)
        weights, scores = known.weights[: 8 * left], known.scores[: 8 * left]
        totals = sum(array("d", weights)), sum(array("d", scores))
        latest = start_of(last + 1) - 1
        return DecayedSums(known.days[: 2 * left], weights, scores, *totals, latest, known.half_life)

    def on(self, day: Day) -> "DecayedSums":
        """The sums of one day alone."""
        packed = _DAY.pack(day)
        place = _place(self.days, packed)
        if self.days[2 * place : 2 * place + 2] != packed:
            return NO_SUMS
        known = self.counted_until(day)
        weight, score = known.weights[8 * place : 8 * place + 8], known.scores[8 * place : 8 * place + 8]
        totals = _SUM.unpack(weight)[0], _SUM.unpack(score)[0]
        return DecayedSums(packed, weight, score, *totals, self.latest, self.half_life)

    def with_day(self, sums: "DecayedSums", day: Day, latest: Micros) -> "DecayedSums":
        """With other sums of a day, all of the same half-life. ``latest`` is the time of the newest evidence then.

        So evidence can be taken out without a trace, which a difference of sums would leave.
        """
        place = _place(self.days, _DAY.pack(day))
        days = self.days[: 2 * place] + self.days[2 * place + 2 :]
        left = NO_SUMS
        if days:
            known = self.counted_until(int.from_bytes(days[-2:], "big"))
            weights, scores = (
                column[: 8 * place] + column[8 * place + 8 :] for column in (known.weights, known.scores)
            )
            totals = sum(array("d", weights)), sum(array("d", scores))
            left = DecayedSums(days, weights, scores, *totals, latest, self.half_life)
        found = left.merge(sums)
        return msgspec.structs.replace(found, latest=latest) if found.days else NO_SUMS

    def standing(self, at: Micros, floor: Day, half_life: Micros) -> tuple[float, float]:
        """Weight and weighted score of the days from ``floor`` on, scaled so that evidence at ``at`` counts in full."""
        sums = self.since(floor).with_half_life(half_life)
        scale = 2.0 ** ((_zero(sums.newest, half_life) - at) / half_life)
        return sums.weight * scale, sums.score * scale

    def mean(self, floor: Day, half_life: Micros | None = None) -> float | None:
        """Σ w·2^(t/h)·x / Σ w·2^(t/h) over the days from ``floor`` on, in [0, 1]; None if there are none.

        ``half_life`` is h if that is another now.
        """
        days, first = self.days, _DAY.pack(floor)
        if days[-2:] < first:  # as where there are none
            return None
        sums = self if days[:2] >= first else self.since(floor)
        if half_life is not None and (sums.half_life or HALF_LIFE) != half_life:
            sums = sums.with_half_life(half_life)
        return min(1.0, sums.score / sums.weight)

    def daily(self, floor: Day) -> Iterator[tuple[Day, float, float]]:
        """Each day with evidence from ``floor`` on: its weight as if it were of the day's beginning, and its mean."""
        half_life = self.half_life or HALF_LIFE
        zero = _zero(self.newest, half_life)
        for (day,), weight, score in zip(
            _DAY.iter_unpack(self.days), array("d", self.weights), array("d", self.scores), strict=True
        ):
            if day >= floor:
                yield day, weight * 2.0 ** ((zero - day * DAY) / half_life), score / weight


def _recency(sums: DecayedSums) -> tuple[Micros, Micros]:
    return (sums.latest, sums.half_life or HALF_LIFE)


def _stated(half_life: Micros) -> Micros | None:
    return None if half_life == HALF_LIFE else half_life


@lru_cache(maxsize=4_096)
def _zero(newest: Day, half_life: Micros) -> Micros:
    """The moment at which evidence counts as much as it weighs, where ``newest`` is the newest day with evidence."""
    span = SPAN * half_life
    return ZERO + (newest * DAY - ZERO) // span * span


def _place(days: bytes, day: bytes) -> int:
    """The place of the first day that is not before ``day``; big-endian days compare like bytes."""
    place = len(days) // 2
    while place and days[2 * place - 2 : 2 * place] >= day:
        place -= 1
    return place


NO_SUMS = DecayedSums()
