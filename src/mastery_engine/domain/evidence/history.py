"""The daily history: for each day with an event, the score as it was known at the day's last event.

A day takes 13 bytes: the day, the level, which components had evidence, and all values in steps of 0.0001.
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
_SIZE = _ROW.size


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
        return int.from_bytes(self.packed[-_SIZE : 2 - _SIZE], "little") if self.packed else None

    def with_point(self, day: Day, score: MasteryScore, shown: float | None = None) -> "History":
        """With the point of a day set; ``day`` is the newest day of the history or a later one.

        ``shown`` is the score as it is shown, without which it is rounded, perhaps into another level.
        """
        completion, quiz, quality, consistency = score.components
        flags = score.rank << 4
        done = answered = judged = regular = 0
        if completion is not None:
            flags |= 1
            done = round(completion * STEPS)
        if quiz is not None:
            flags |= 2
            answered = round(quiz * STEPS)
        if quality is not None:
            flags |= 4
            judged = round(quality * STEPS)
        if consistency is not None:
            flags |= 8
            regular = round(consistency * STEPS)
        row = _ROW.pack(
            day, flags, round((score.score if shown is None else shown) * STEPS), done, answered, judged, regular
        )
        older = self.packed
        if older and int.from_bytes(older[-_SIZE : 2 - _SIZE], "little") == day:
            older = older[:-_SIZE]
        return History(older + row)

    def since(self, floor: Day) -> "History":
        """Without the days before ``floor``."""
        packed, drop = self.packed, 0
        while drop < len(packed) and int.from_bytes(packed[drop : drop + 2], "little") < floor:
            drop += _SIZE
        return History(packed[drop:]) if drop else self

    def before(self, day: Day) -> "History":
        """Without ``day`` and the days after it."""
        packed, left = self.packed, len(self.packed)
        while left and int.from_bytes(packed[left - _SIZE : left - _SIZE + 2], "little") >= day:
            left -= _SIZE
        return History(packed[:left]) if left < len(packed) else self

    def points(self, *, first: Day = 0, last: Day = 65_535) -> Iterator[Point]:
        """The points of the days from ``first`` to ``last``, oldest first."""
        for day, flags, score, *values in _ROW.iter_unpack(self.packed):
            if first <= day <= last:
                completion, quiz, quality, consistency = (
                    value / STEPS if flags >> place & 1 else None for place, value in enumerate(values)
                )
                yield Point(day, flags >> 4, score / STEPS, (completion, quiz, quality, consistency))

    def scores(self, *, first: Day = 0, last: Day = 65_535) -> list[tuple[Day, float]]:
        """The days from ``first`` to ``last`` with their scores, oldest first: quicker than ``points``."""
        return [(row[0], row[2] / STEPS) for row in _ROW.iter_unpack(self.packed) if first <= row[0] <= last]


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
