"""The daily history: for each day with an event, the score as it was known at the day's last event.

A day takes 13 bytes: the day, the level, which components had evidence, the score in steps of 0.0001, and the
components in sixths of such a step, so that what changed between two days adds up.
"""

from collections.abc import Iterator, Sequence
from statistics import median
from struct import Struct
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.evidence.score import FourValues, MasteryScore
from mastery_engine.domain.moments import Day
from mastery_engine.domain.rules import STEPS

Trend: TypeAlias = Literal["improving", "declining", "stable"]

TREND_DAYS = 14
STABLE_PER_WEEK = 0.01

_ROW = Struct("<HBHHHHH")
_SCORES = Struct("<HxH8x")  # of a row, its day and score
POINT_SIZE = _ROW.size
_SCORE = 4  # the place of the byte of the score that has the sign of fine points
_SIXTHS = 6
SIXTHS = _SIXTHS * STEPS
_NO_SIXTHS = 3  # of a component of 0, or without evidence
_SPREAD = 5.99  # so that a value half a step above the nearest step is still in the last of its sixths
_IS_FINE = 1 << 15  # set in the score; without it the components are in whole steps, as older engines wrote them
_STEPS_OF_SCORE = _IS_FINE - 1
_FINE_BYTE = _IS_FINE >> 8


def sixths(value: float | None) -> int:
    """A component in sixths of 0.0001, of which 60,000 make 1, as a daily point has it; only differences mean much.

    Whole steps are rounded as everywhere, so that a point shows the digits that were shown then.
    """
    steps = round(scaled := (value or 0.0) * STEPS)
    return _SIXTHS * steps + int((scaled - steps) * _SPREAD + _NO_SIXTHS)


FourSixths: TypeAlias = tuple[int, int, int, int]
NOTHING_YET: FourSixths = (_NO_SIXTHS, _NO_SIXTHS, _NO_SIXTHS, _NO_SIXTHS)


class Point(msgspec.Struct, frozen=True, gc=False):
    """One day's score; ``rank`` is the place of its level in the rules, from 0."""

    day: Day
    rank: int
    score: float
    components: FourValues


class History(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The points of the days with events, oldest first, packed."""

    packed: bytes = b""

    @property
    def newest(self) -> Day | None:
        return int.from_bytes(self.packed[-POINT_SIZE : 2 - POINT_SIZE], "little") if self.packed else None

    def with_point(self, day: Day, score: MasteryScore, shown: float | None = None) -> "History":
        """With the point of a day set; ``day`` is the newest day of the history or a later one.

        ``shown`` is the score as it is shown, without which it is rounded, perhaps into another level.
        """
        completion, quiz, quality, consistency = score.components
        flags = score.rank << 4
        done = answered = judged = regular = _NO_SIXTHS
        if completion is not None:
            flags |= 1
            steps = round(scaled := completion * STEPS)
            done = _SIXTHS * steps + int((scaled - steps) * _SPREAD + _NO_SIXTHS)
        if quiz is not None:
            flags |= 2
            steps = round(scaled := quiz * STEPS)
            answered = _SIXTHS * steps + int((scaled - steps) * _SPREAD + _NO_SIXTHS)
        if quality is not None:
            flags |= 4
            steps = round(scaled := quality * STEPS)
            judged = _SIXTHS * steps + int((scaled - steps) * _SPREAD + _NO_SIXTHS)
        if consistency is not None:
            flags |= 8
            steps = round(scaled := consistency * STEPS)
            regular = _SIXTHS * steps + int((scaled - steps) * _SPREAD + _NO_SIXTHS)
        whole = round((score.score if shown is None else shown) * STEPS)
        row = _ROW.pack(day, flags, whole | _IS_FINE, done, answered, judged, regular)
        older = self.packed
        if older[-POINT_SIZE : 2 - POINT_SIZE] == row[:2]:
            older = older[:-POINT_SIZE]
        return History(older + row)

    def since(self, floor: Day) -> "History":
        """Without the days before ``floor``."""
        packed, drop = self.packed, 0
        while drop < len(packed) and int.from_bytes(packed[drop : drop + 2], "little") < floor:
            drop += POINT_SIZE
        return History(packed[drop:]) if drop else self

    def before(self, day: Day) -> "History":
        """Without ``day`` and the days after it."""
        packed, left = self.packed, len(self.packed)
        while left and int.from_bytes(packed[left - POINT_SIZE : left - POINT_SIZE + 2], "little") >= day:
            left -= POINT_SIZE
        return History(packed[:left]) if left < len(packed) else self

    @property
    def is_fine(self) -> bool:
        """Whether no older engine wrote the newest point: it has its components in sixths, or there is none."""
        packed = self.packed
        return not packed or packed[_SCORE - POINT_SIZE] >= _FINE_BYTE

    def values(self) -> FourSixths:
        """The components of the newest point in sixths, as ``sixths`` has them."""
        if not self.packed:
            return NOTHING_YET
        *_, done, answered, judged, regular = _ROW.unpack_from(self.packed, len(self.packed) - POINT_SIZE)
        if self.is_fine:
            return (done, answered, judged, regular)
        completion, quiz, quality, consistency = (sixths(value / STEPS) for value in (done, answered, judged, regular))
        return (completion, quiz, quality, consistency)

    def points(self, *, first: Day = 0, last: Day = 65_535) -> Iterator[Point]:
        """The points of the days from ``first`` to ``last``, oldest first."""
        for day, flags, score, *values in _ROW.iter_unpack(self.packed):
            if first <= day <= last:
                if score & _IS_FINE:
                    score, values = score - _IS_FINE, [value // _SIXTHS for value in values]
                completion, quiz, quality, consistency = (
                    value / STEPS if flags >> place & 1 else None for place, value in enumerate(values)
                )
                yield Point(day, flags >> 4, score / STEPS, (completion, quiz, quality, consistency))

    def scores(self, *, first: Day = 0, last: Day = 65_535) -> list[tuple[Day, float]]:
        """The days from ``first`` to ``last`` with their scores, oldest first: quicker than ``points``."""
        found = [(day, (score & _STEPS_OF_SCORE) / STEPS) for day, score in _SCORES.iter_unpack(self.packed)]
        if found and (found[0][0] < first or found[-1][0] > last):
            return [one for one in found if first <= one[0] <= last]
        return found


def average(scores: Sequence[tuple[Day, float]]) -> float | None:
    """The mean of the days' scores; None if there are none."""
    return sum([score for _, score in scores]) / len(scores) if scores else None


def trend(scores: Sequence[tuple[Day, float]], today: Day) -> Trend:
    """The median slope between pairs of the last 14 days' scores (Theil 1950, Sen 1968), a week's change in score."""
    recent = [one for one in scores if today - TREND_DAYS < one[0] <= today]
    slopes = [
        (later - earlier) / (day - day_before) * 7
        for place, (day, later) in enumerate(recent)
        for day_before, earlier in recent[:place]
    ]
    slope = median(slopes) if slopes else 0.0
    if abs(slope) <= STABLE_PER_WEEK + 1e-12:
        return "stable"
    return "improving" if slope > 0 else "declining"
