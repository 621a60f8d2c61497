"""The answers about forecasts. Scores lie in [0, 1] and are rounded to 4 decimals."""

from collections.abc import Sequence

import msgspec

from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.evidence.history import Trend
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.forecast.calibration import ENOUGH, Calibration
from mastery_engine.domain.forecast.day_ahead import DayAhead
from mastery_engine.domain.forecast.forecast import Forecast
from mastery_engine.domain.moments import iso_date, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.responses.scores import Score
from mastery_engine.responses.times import DateText, MomentText


class ForecastCalibration(msgspec.Struct, frozen=True):
    """Whether forecasts are true of the course that they are about.

    ``student_weeks`` is the number of past weeks of the course's students whose forecast, made as it would have been,
    was held against what came, by the moment ``as_of``. ``coverage`` is the share of them in which the 80% interval
    held, null where there are too few to tell. ``calibrated`` says that there are enough for the forecast to be
    corrected by them; until then its interval is wide enough for classes never seen.
    """

    calibrated: bool
    coverage: Score | None
    student_weeks: int
    as_of: MomentText | None

    @property
    def held(self) -> str:
        """How often the interval held, as people read it; empty where there are too few weeks to tell."""
        return "" if self.coverage is None else f"{self.coverage:.1%}"

    @property
    def words(self) -> str:
        """The same for people, in a sentence."""
        if self.calibrated:
            return (
                f"Calibrated for this course: the score came within the band in {self.held} of "
                f"{self.student_weeks:,} past weeks of its students."
            )
        return (
            f"Not calibrated for this course yet: it has {self.student_weeks:,} of the {ENOUGH} past weeks of students "
            "that this takes, so the band is wide."
        )


class CourseCalibration(ForecastCalibration, frozen=True):
    """The calibration of one course; ``missing`` is the number of student-weeks that it still needs."""

    tenant: str
    course_id: str
    missing: int


class ForecastDay(msgspec.Struct, frozen=True):
    """One day: the median of the score, and the 10% and 90% points of its distribution."""

    date: DateText
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
    calibration: ForecastCalibration


class TrajectoryPoint(msgspec.Struct, frozen=True):
    """A past day's score, as it was known then."""

    date: DateText
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
    calibration: ForecastCalibration


def forecast_days(days: Sequence[DayAhead], rules: Rules) -> list[ForecastDay]:
    """The days of a forecast as they are sent."""
    return [
        ForecastDay(iso_date(one.day), *[shown_score(score, rules) for score in (one.score, one.lower, one.upper)])
        for one in days
    ]


def forecast_calibration(known: Calibration) -> ForecastCalibration:
    """A calibration as it is sent."""
    coverage = None if known.coverage is None else round(known.coverage, 4)
    as_of = rfc3339(known.as_of) if known.as_of else None
    return ForecastCalibration(known.calibrated, coverage, known.student_weeks, as_of)


def course_calibration(course: CourseKey, known: Calibration) -> CourseCalibration:
    """A course's calibration as it is listed."""
    shown = msgspec.structs.asdict(forecast_calibration(known))
    missing = max(0, ENOUGH - known.student_weeks)
    return CourseCalibration(**shown, tenant=course.tenant, course_id=course.course_id, missing=missing)


def prediction(student_id: str, found: Forecast, known: Calibration, rules: Rules) -> Prediction:
    """A forecast as it is sent; ``known`` is the calibration that it was made with."""
    return Prediction(
        student_id=student_id,
        current_score=shown_score(found.now, rules),
        predicted_score=shown_score(found.predicted, rules),
        confidence=round(found.confidence, 4),
        trend=found.trend,
        intervention_needed=found.intervention_needed,
        timeframe_days=len(found.days),
        days=forecast_days(found.days, rules),
        calibration=forecast_calibration(known),
    )
