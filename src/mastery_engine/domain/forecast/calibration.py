"""The calibration of a course: what its own past weeks say about the forecasts made for it.

A past student-week is a ``Miss``: what was forecast, and what came. ``calibration_from`` learns from the misses that a
course has by a moment; ``calibrated`` turns the model's distribution into the one that is served. Without enough misses
the interval is wide enough to hold on classes that nobody has seen.
"""

from collections.abc import Iterable, Sequence
from typing import Self

import msgspec
import numpy as np

from mastery_engine.domain.forecast.model import LOWER, MEDIAN, UPPER
from mastery_engine.domain.moments import Day, Micros, day_of

ENOUGH = 300  # student-weeks
TRUSTED_FROM = 150.0  # student-weeks that count as much as the prior
FORMAT = 1
WEEK = 7
WIDENED = 3.0  # how much wider than the shipped model the interval is before anything is known of the course
FEWEST = 20


class Miss(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One past week of one student: what was known at its beginning, and what came.

    ``origin`` is the day at whose end the forecast was made, for the day 7 days later; ``now`` is the score then,
    ``aged`` what it would have come to without new evidence, ``came`` what it came to, all in [0, 1]. ``model`` are the
    quantiles of the score at ``LEVELS`` by the model alone. ``away`` is the number of days since the last active one,
    ``known_for`` that since the first event; ``has_calendar`` and ``due`` say whether a calendar was known, and whether
    it had work due in that week.
    """

    origin: Day
    now: float
    aged: float
    came: float
    model: tuple[float, ...]
    away: int
    known_for: int
    has_calendar: bool = False
    due: bool = False

    @property
    def target(self) -> Day:
        """The day that was forecast; what came is known after its end."""
        return self.origin + WEEK


class Calibration(msgspec.Struct, frozen=True, array_like=True):
    """What the misses of a course by ``as_of`` say.

    ``student_weeks`` is how many there were. ``coverage`` is the share of past weeks in which the 80% interval that
    would have been served held, in [0, 1]; None where nothing can be said. ``below`` and ``above`` stretch the
    distances of the quantiles from their median.
    """

    as_of: Micros
    student_weeks: int = 0
    coverage: float | None = None
    below: float = WIDENED
    above: float = WIDENED

    @property
    def calibrated(self) -> bool:
        """Whether the course has enough past weeks for its forecasts to be corrected by them."""
        return self.student_weeks >= ENOUGH and self.coverage is not None

    def pack(self) -> bytes:
        """As stores keep it: one byte with the format, then MessagePack."""
        return bytes((FORMAT,)) + _encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> Self | None:
        """What ``pack`` made; None if another engine made it in another format: it is learned again."""
        return _decode(packed[1:]) if packed[:1] == bytes((FORMAT,)) else None  # type: ignore[return-value]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Calibration).decode

UNKNOWN = Calibration(0)


def calibration_from(misses: Iterable[Miss], as_of: Micros) -> Calibration:
    """The calibration by a moment, from a course's misses in any order.

    Those of weeks that were not over by then do not count.
    """
    known = sorted((miss for miss in misses if miss.target < day_of(as_of)), key=lambda miss: miss.origin)
    if not known:
        return Calibration(as_of)
    inside = []
    for miss in known[FEWEST:]:
        row = calibrated(miss.model, _stretched(known, miss.origin))
        inside.append(row[LOWER] <= miss.came <= row[UPPER])
    below, above = _stretch(known)
    return Calibration(as_of, len(known), float(np.mean(inside)) if inside else None, below, above)


def calibrated(quantiles: Sequence[float], calibration: Calibration) -> tuple[float, ...]:
    """A distribution of the score as it is served: quantiles at ``LEVELS``, rising, in [0, 1]."""
    middle = quantiles[MEDIAN]
    return tuple(
        min(1.0, max(0.0, middle + (value - middle) * (calibration.below if value < middle else calibration.above)))
        for value in quantiles
    )


def _stretched(known: Sequence[Miss], origin: Day) -> Calibration:
    below, above = _stretch([miss for miss in known if miss.target <= origin])
    return Calibration(0, 0, None, below, above)


def _stretch(known: Sequence[Miss]) -> tuple[float, float]:
    """By how much the arms have to be longer for each to be overstepped by one week in ten."""
    if len(known) < FEWEST:
        return WIDENED, WIDENED
    rows = np.array([miss.model for miss in known])
    came = np.array([miss.came for miss in known]) - rows[:, MEDIAN]
    arms = []
    for sign, place in ((-1.0, LOWER), (1.0, UPPER)):
        length = np.maximum(sign * (rows[:, place] - rows[:, MEDIAN]), 1e-4)
        arms.append(max(1e-3, float(np.quantile(sign * came / length, 0.9))))
    share = len(known) / (len(known) + TRUSTED_FROM)
    below, above = (float(np.exp(share * np.log(arm) + (1 - share) * np.log(WIDENED))) for arm in arms)
    return below, above
