"""The answers about forecasts. Scores lie in [0, 1] and are rounded to 4 decimals."""

from collections.abc import Sequence

import msgspec

from mastery_engine.domain.evidence.history import Trend
from mastery_engine.domain.forecast.forecast import DayAhead, Forecast
from mastery_engine.domain.moments import iso_date
from mastery_engine.responses.scores import Score


class ForecastDay(msgspec.Struct, frozen=True):
    """One day: the median of the score, and the 10% and 90% points of its distribution."""

    date: str
    score: Score
    lower: Score
    upper: Score


class Prediction(msgspec.Struct, frozen=True):
    """The forecast for the next days, nearest first. ``predicted_score`` is the last day's median.

    ``confidence`` is the probability that the score then lies within 0.05 of it; ``intervention_needed`` says that the
    score is more likely than not below 0.50 then, or a level lower than now.
    """

    student_id: str
    current_score: Score
    predicted_score: Score
    confidence: Score
    trend: Trend
    intervention_needed: bool
    timeframe_days: int
    days: list[ForecastDay]


class TrajectoryPoint(msgspec.Struct, frozen=True):
    """A past day's score, as it was known then."""

    date: str
    score: Score
    level: str


class Trajectory(msgspec.Struct, frozen=True):
    """The past days with a score, the ``trend`` of the last 14 days, and the forecast of the next 7 days."""

    student_id: str
    days: int
    trend: Trend
    points: list[TrajectoryPoint]
    forecast: list[ForecastDay]
    predicted_score: Score
    confidence: Score
    intervention_needed: bool
    timeframe_days: int


def forecast_days(days: Sequence[DayAhead]) -> list[ForecastDay]:
    """The days of a forecast as they are sent."""
    return [
        ForecastDay(iso_date(one.day), round(one.score, 4), round(one.lower, 4), round(one.upper, 4)) for one in days
    ]


def prediction(student_id: str, found: Forecast) -> Prediction:
    """A forecast as it is sent."""
    return Prediction(
        student_id=student_id,
        current_score=round(found.now, 4),
        predicted_score=round(found.predicted, 4),
        confidence=round(found.confidence, 4),
        trend=found.trend,
        intervention_needed=found.intervention_needed,
        timeframe_days=len(found.days),
        days=forecast_days(found.days),
    )
