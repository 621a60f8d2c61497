"""The chart of a history and its forecast, as SVG coordinates."""

from collections.abc import Sequence
from datetime import date

import msgspec

from mastery_engine.responses.forecasts import Prediction
from mastery_engine.responses.history import HistoryPoint

WIDTH, HEIGHT = 600, 200


class Chart(msgspec.Struct, frozen=True):
    """Days from left to right in a box of 600 × 200; scores from 0 at the bottom to 1. Lines are SVG lists of points.

    ``ahead`` runs from the last point through today and the days of the forecast, and ``band`` surrounds them; both are
    empty without a forecast. ``x`` and ``y`` are the coordinates of the newest score.
    """

    line: str
    ahead: str
    band: str
    x: float
    y: float


def chart(history: Sequence[HistoryPoint], forecast: Prediction | None) -> Chart:
    """The chart of at least one point of history, oldest first."""
    past = [(_day(point.date), point.mastery_score) for point in history]
    days = forecast.days if forecast else []
    now = (_day(days[0].date) - 1, forecast.current_score) if forecast else past[-1]
    above = [(_day(one.date), one.upper) for one in days]
    below = [(_day(one.date), one.lower) for one in reversed(days)]
    middle = [(_day(one.date), one.score) for one in days]
    first = past[0][0]
    step = WIDTH / max(1, [now, *middle][-1][0] - first)

    def points(places: Sequence[tuple[int, float]]) -> str:
        return " ".join(f"{round((day - first) * step, 1)},{y_of(score)}" for day, score in places)

    return Chart(
        line=points(past),
        ahead=points([past[-1], now, *middle]) if days else "",
        band=points([now, *above, *below]) if days else "",
        x=round((now[0] - first) * step, 1),
        y=y_of(now[1]),
    )


def y_of(score: float) -> float:
    return round(HEIGHT * (1.0 - score), 1)


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal()
