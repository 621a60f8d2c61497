"""How right something was, from what platforms say of it: raw points between a least and a most, a share, a success.

Raw points between the least and the most decide (xAPI 2.0, 4.2.5.1), else ``scaled``; ``success`` alone is all or
nothing, and loses where it contradicts a score. What lies outside counts as the nearest end, and is named.
"""

from math import isfinite
from typing import Any

import msgspec


class Score(msgspec.Struct, frozen=True, gc=False):
    """A share in [0, 1], or None where only ``success`` is known; with what was not taken as it stood."""

    fraction: float | None
    success: bool | None = None
    notes: tuple[str, ...] = ()


class NoScore(msgspec.Struct, frozen=True, gc=False):
    """Why there is none."""

    reason: str


NOTHING = NoScore("It has neither a score nor a success.")


def score_from(
    raw: Any, least: Any, most: Any, scaled: Any, success: Any, *, scaled_from: float = 0.0
) -> Score | NoScore:
    """The score of a result. What is no number counts as absent.

    ``scaled`` runs from ``scaled_from`` to 1: that is −1, or 0 where what lies below counts as 0.
    """
    outcome = success if isinstance(success, bool) else None
    points, top = number_from(raw), number_from(most)
    if points is not None and top is not None:
        return _with_success(share_of_points(points, number_from(least) or 0.0, top), outcome)
    share = number_from(scaled)
    if share is not None:
        return _with_success(share_from_scaled(share, scaled_from), outcome)
    if outcome is not None:
        return Score(None, outcome)
    return NOTHING if points is None else NoScore(f"It has {points:g} points, but not of how many.")


def share_of_points(raw: float, least: float, most: float) -> Score | NoScore:
    """Points as a share of the way from the least to the most. No points of none say nothing."""
    if most <= least:
        return NoScore(f"It is {raw:g} of {most:g} points, which says nothing.")
    return _within(
        (raw - least) / (most - least), f"{raw:g} points of {most:g}", f"{raw:g} points, less than {least:g}"
    )


def share_from_scaled(scaled: float, scaled_from: float) -> Score | NoScore:
    """A scaled score as a share. xAPI's runs from −1 to 1 and below 0 counts as 0; one from −1 has its half at 0."""
    share = (scaled - scaled_from) / (1.0 - scaled_from)
    return _within(share, f"A scaled score of {scaled:g}", f"A scaled score of {scaled:g}")


def number_from(value: Any) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _within(share: float, above: str, below: str) -> Score:
    if share > 1.0:
        return Score(1.0, notes=(f"{above} counts as all.",))
    if share < 0.0:
        return Score(0.0, notes=(f"{below}, counts as none.",))
    return Score(share)


def _with_success(score: Score | NoScore, success: bool | None) -> Score | NoScore:
    """The score, which names a success that contradicts it: all right and a failure, or nothing right and a success."""
    if isinstance(score, NoScore) or success is None or score.fraction != float(not success):
        return score
    return Score(score.fraction, notes=(*score.notes, "The score counts; its success says otherwise."))
