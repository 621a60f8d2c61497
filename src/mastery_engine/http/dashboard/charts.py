"""Numbers as the pictures need them."""

from collections.abc import Sequence

import msgspec

from mastery_engine.answers import HistoryPoint

WIDTH, HEIGHT = 600, 160


class Line(msgspec.Struct, frozen=True):
    """A history as a polyline in a box of 600 × 160; scores run from 0 at the bottom to 1."""

    points: str
    last_x: float
    last_y: float


def line(history: Sequence[HistoryPoint]) -> Line:
    """At least one point."""
    step = WIDTH / max(1, len(history) - 1)
    places = [(round(place * step, 1), y_of(point.mastery_score)) for place, point in enumerate(history)]
    return Line(" ".join(f"{x},{y}" for x, y in places), *places[-1])


def y_of(score: float) -> float:
    return round(HEIGHT * (1.0 - score), 1)
