"""Scores as they are shown: with 4 decimals, and never on the other side of a bound than the score itself.

A score of 0.59996 is below the level that begins at 0.60, so it is shown as 0.5999, not as 0.6. The same holds for the
pass mark, which decides who needs help.
"""

from math import ceil, floor, inf

import msgspec

from mastery_engine.domain.evidence.history import History, Point
from mastery_engine.domain.moments import Day
from mastery_engine.domain.rules import PASS_MARK, STEPS, Rules

SURELY = 0.4999  # of a step: nearer to a step than this, no rounding of floats makes another step the nearest


def shown_score(score: float, rules: Rules) -> float:
    """The number with 4 decimals nearest to a score in [0, 1], of those in its level and on its side of the pass mark.

    It never falls where the score rises. Where levels leave no such number beside the pass mark, the level alone rules.
    """
    scaled = score * STEPS
    steps = round(scaled)
    # Where it is not near the middle of two steps this is round(score, 4), in a third of the time.
    shown = steps / STEPS if -SURELY < scaled - steps < SURELY else round(score, 4)
    return _on_its_side(score, shown, rules) if shown in rules.beside_bounds else shown


def _on_its_side(score: float, shown: float, rules: Rules) -> float:
    """What is ``shown`` of a score beside a bound, or the number before or after it, on the score's side."""
    rank, levels = rules.level_index(score), rules.levels
    low = levels[rank].from_score
    high = levels[rank + 1].from_score if rank + 1 < len(levels) else inf
    its_side = (max(low, PASS_MARK), high) if round(score, 9) >= PASS_MARK else (low, min(high, PASS_MARK))
    steps = round(shown * STEPS)
    near = (shown, (steps - 1) / STEPS, (steps + 1) / STEPS)
    return next((one for least, most in (its_side, (low, high)) for one in near if least <= one < most), shown)


def with_4_decimals(value: float | None) -> float:
    """As ``round(value, 4)``, which writes a number as text and reads it back: that is left for what is near a tie."""
    if not value:
        return 0.0
    scaled = value * STEPS
    steps = round(scaled)
    return steps / STEPS if -SURELY < scaled - steps < SURELY else round(value, 4)


def whole_per_cent(share: float) -> int:
    """A share in [0, 1] in whole per cent, rounded down: 59.6% is not the 60% at which a level begins.

    The errors of floating point, which would decide where it is rounded, are taken out before.
    """
    return floor(round(100 * share, 6))


def at_least(value: float) -> float:
    """The smallest number with 4 decimals that is not below ``value``: so whoever reaches what is shown has enough."""
    return ceil(round(value * STEPS, 6)) / STEPS


def shown_points(history: History, rules: Rules, *, first: Day = 0, last: Day = 65_535) -> list[Point]:
    """The daily points from ``first`` to ``last``, oldest first, each with a score in the level that it had.

    Points are stored rounded, with their level. Where the rules have changed since, the level is the score's of now.
    """
    return [_shown_point(point, rules) for point in history.points(first=first, last=last)]


def shown_scores(history: History, rules: Rules, *, first: Day = 0, last: Day = 65_535) -> list[tuple[Day, float]]:
    """The days and scores of ``shown_points``: quicker."""
    scores, near = history.scores(first=first, last=last), rules.near_bounds
    if near.isdisjoint([score for _, score in scores]):
        return scores
    return [one if one[1] not in near else _shown_on(one[0], history, rules) for one in scores]


def _shown_on(day: Day, history: History, rules: Rules) -> tuple[Day, float]:
    [point] = shown_points(history, rules, first=day, last=day)
    return (day, point.score)


def _shown_point(point: Point, rules: Rules) -> Point:
    score, rank = point.score, point.rank
    if rules.level_index(score) == rank:
        return point
    for step in (-1, 1):  # it was rounded across the bound
        beside = (round(score * STEPS) + step) / STEPS
        if 0.0 <= beside <= 1.0 and rules.level_index(beside) == rank:
            return msgspec.structs.replace(point, score=beside)
    return msgspec.structs.replace(point, rank=rules.level_index(score))
