"""The distribution of the mastery score on one day to come."""

from bisect import bisect_left, bisect_right

import msgspec

from mastery_engine.domain.forecast.model import LEVELS, LOWER, MEDIAN, UPPER
from mastery_engine.domain.moments import Day

CLOSE = 0.05


class DayAhead(msgspec.Struct, frozen=True, gc=False):
    """One day's distribution: its quantiles at ``LEVELS``, rising, in [0, 1]."""

    day: Day
    quantiles: tuple[float, ...]

    @property
    def score(self) -> float:
        """The median."""
        return self.quantiles[MEDIAN]

    @property
    def lower(self) -> float:
        """The 10% point."""
        return self.quantiles[LOWER]

    @property
    def upper(self) -> float:
        """The 90% point."""
        return self.quantiles[UPPER]

    def at_most(self, score: float) -> float:
        """The probability of a score of at most this one; between quantiles it is linear."""
        place = bisect_right(self.quantiles, score)
        return self._between(place, score)

    def below(self, score: float) -> float:
        """The probability of a score below this one."""
        place = bisect_left(self.quantiles, score)
        return self._between(place, score)

    def close(self) -> float:
        """The probability of a score within ``CLOSE`` of the median."""
        return self.at_most(self.score + CLOSE) - self.below(self.score - CLOSE)

    def _between(self, place: int, score: float) -> float:
        if place == 0:
            return 0.0
        if place == len(LEVELS):
            return 1.0
        before, after = self.quantiles[place - 1], self.quantiles[place]
        return LEVELS[place - 1] + (LEVELS[place] - LEVELS[place - 1]) * (score - before) / (after - before)
