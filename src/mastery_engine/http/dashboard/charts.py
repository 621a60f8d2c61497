"""The pictures of the pages as SVG coordinates: a history with its forecast, small lines in tables, a calendar."""

from collections.abc import Sequence
from datetime import date

import msgspec

from mastery_engine.responses.forecasts import Prediction
from mastery_engine.responses.history import HistoryPoint

WIDTH, HEIGHT = 640, 240
TOP, BOTTOM = 8, 212
TICKS = 4
SPARK_WIDTH, SPARK_HEIGHT, SPARK_DAYS, SPARK_POINTS = 72, 20, 28, 6
CELL = 20
WEEK = 7


class Chart(msgspec.Struct, frozen=True):
    """Days from left to right, scores from 0 at the bottom to 1. Lines are SVG lists of points.

    ``ahead`` runs from the last point through today and the days of the forecast, and ``band`` surrounds them; both are
    empty without a forecast. ``x`` and ``y`` are the coordinates of the newest score. ``dates`` are days below the
    chart: the coordinate, the side on which the text stands, and the day. ``places`` are the coordinates of each point
    of the history, and then of each day of the forecast.
    """

    line: str
    ahead: str
    band: str
    x: float
    y: float
    dates: list[tuple[float, str, date]]
    places: list[tuple[float, float]]
    width: int = WIDTH
    height: int = HEIGHT

    def across(self, x: float) -> str:
        """A place from left to right, in parts of the whole."""
        return f"{round(100 * x / self.width, 2)}%"

    def down(self, y: float) -> str:
        """A place from top to bottom, in parts of the whole."""
        return f"{round(100 * y / self.height, 2)}%"


def chart(history: Sequence[HistoryPoint], forecast: Prediction | None) -> Chart:
    """The chart of at least one point of history, oldest first."""
    return chart_of([(_day(point.date), point.mastery_score) for point in history], forecast)


def chart_of(past: Sequence[tuple[int, float]], forecast: Prediction | None = None) -> Chart:
    """The chart of at least one day, as ``date.toordinal`` counts them, with its score."""
    days = forecast.days if forecast else []
    now = (_day(days[0].date) - 1, forecast.current_score) if forecast else past[-1]
    above = [(_day(one.date), one.upper) for one in days]
    below = [(_day(one.date), one.lower) for one in reversed(days)]
    middle = [(_day(one.date), one.score) for one in days]
    first, last = past[0][0], [now, *middle][-1][0]
    step = WIDTH / max(1, last - first)

    def place(day: int, score: float) -> tuple[float, float]:
        return round((day - first) * step, 1), y_of(score)

    def points(places: Sequence[tuple[int, float]]) -> str:
        return " ".join(f"{x},{y}" for x, y in (place(*one) for one in places))

    return Chart(
        line=points(past),
        ahead=points([past[-1], now, *middle]) if days else "",
        band=points([now, *above, *below]) if days else "",
        x=place(*now)[0],
        y=y_of(now[1]),
        dates=[(place(day, 0)[0], anchor, date.fromordinal(day)) for day, anchor in _ticks(first, last)],
        places=[place(*one) for one in [*past, *middle]],
    )


def _ticks(first: int, last: int) -> list[tuple[int, str]]:
    """The first day, the last, and one or two between them, where there is room."""
    if last - first < TICKS:
        return [(first, "start")] if last == first else [(first, "start"), (last, "end")]
    between = [round(first + (last - first) * part / (TICKS - 1)) for part in range(1, TICKS - 1)]
    return [(first, "start"), *((day, "middle") for day in between), (last, "end")]


def y_of(score: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * score, 1)


def spark(scores: Sequence[tuple[int, float]], today: int, days: int = SPARK_DAYS) -> str:
    """The last days of (day, score) as a small SVG path; empty with fewer than two.

    It runs from the lowest to the highest of these days, but over 10 points at least: so that little looks little.
    """
    recent = [one for one in scores if today - days < one[0] <= today]
    if len(recent) < 2:
        return ""
    every = -(-len(recent) // SPARK_POINTS)
    recent = recent[::-1][::every][::-1]
    low, high = min(score for _, score in recent), max(score for _, score in recent)
    middle, span = (low + high) / 2, max(0.1, high - low)
    step = SPARK_WIDTH / days
    places = [
        f"{round((day - today + days) * step)} {round(SPARK_HEIGHT / 2 - (score - middle) / span * (SPARK_HEIGHT - 4))}"
        for day, score in recent
    ]
    return "M" + "L".join(places)


class Calendar(msgspec.Struct, frozen=True):
    """Days in rows of weeks: ``heads`` name the weekdays, ``days`` are (x, y, whether active, whether today)."""

    heads: list[tuple[int, str]]
    days: list[tuple[int, int, bool, bool]]
    width: int
    height: int


def calendar(
    active: Sequence[bool], today: int, *, first_weekday: int, names: Sequence[str], mirrored: bool
) -> Calendar:
    """The days that end with ``today``, oldest first; ``names`` are those of the weekdays, from Monday.

    ``first_weekday`` begins a row, 0 is Monday. ``mirrored`` is for those who read from right to left.
    """

    def x_of(column: int) -> int:
        return CELL * (WEEK - 1 - column if mirrored else column) + 2

    start = today - len(active) + 1
    offset = (date.fromordinal(start).weekday() - first_weekday) % WEEK
    days = [
        (x_of((offset + place) % WEEK), CELL * ((offset + place) // WEEK) + 18, on, place == len(active) - 1)
        for place, on in enumerate(active)
    ]
    heads = [(x_of(column) + 8, names[(first_weekday + column) % WEEK]) for column in range(WEEK)]
    rows = (offset + len(active) - 1) // WEEK + 1
    return Calendar(heads, days, WEEK * CELL, rows * CELL + 18)


def _day(text: str) -> int:
    return date.fromisoformat(text).toordinal()
