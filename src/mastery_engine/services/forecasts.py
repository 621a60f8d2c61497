"""Predictions: where a student's score is going, and where it came from."""

from collections.abc import Sequence
from typing import Protocol

from mastery_engine.auth.access import Act, Caller
from mastery_engine.domain.evidence.history import trend
from mastery_engine.domain.forecast.forecast import Forecast, forecast
from mastery_engine.domain.forecast.model import ForecastModel
from mastery_engine.domain.moments import Day, day_of, iso_date
from mastery_engine.domain.student import Student
from mastery_engine.responses.forecasts import (
    Prediction,
    Trajectory,
    TrajectoryPoint,
    forecast_days,
    prediction,
)
from mastery_engine.services.mastery import Mastery

WEEK = 7


class DueDays(Protocol):
    """Who knows the days on which work is due to a student, past ones too; none where there is no calendar."""

    async def __call__(self, tenant: str, student_id: str) -> Sequence[Day]: ...


async def no_calendar(tenant: str, student_id: str) -> Sequence[Day]:
    """Nobody knows."""
    del tenant, student_id
    return ()


class Predictions:
    """The forecast of students that the engine knows."""

    def __init__(self, engine: Mastery, model: ForecastModel, due_days: DueDays = no_calendar) -> None:
        self._engine = engine
        self._model = model
        self._due_days = due_days

    async def next_days(self, caller: Caller, student_id: str, days: int = WEEK) -> Prediction:
        """The forecast for the next 1 to 30 days. Raises Forbidden, NotFound."""
        self._engine.check_student(caller, Act.READ, student_id, "next-week")
        await self._engine.check_profiling(caller.tenant, student_id)
        student = await self._engine.known(caller, student_id)
        return prediction(student_id, await self._forecast(caller, student_id, student, days))

    async def trajectory(self, caller: Caller, student_id: str, days: int = 30) -> Trajectory:
        """The last 7 to 90 days, today's among them, and the forecast for the next 7. Raises Forbidden, NotFound."""
        engine = self._engine
        engine.check_student(caller, Act.READ, student_id, "trajectory")
        await engine.check_profiling(caller.tenant, student_id)
        student = await engine.known(caller, student_id)
        today = day_of(engine.clock())
        points = engine.points(student, first=today - days + 1, last=today)
        levels = engine.rules.levels
        found = await self._forecast(caller, student_id, student, WEEK)
        return Trajectory(
            student_id=student_id,
            days=days,
            trend=trend(engine.scores(student, last=today), today),
            points=[
                TrajectoryPoint(
                    iso_date(point.day), round(point.score, 4), levels[min(point.rank, len(levels) - 1)].name
                )
                for point in points
            ],
            forecast=forecast_days(found.days),
            predicted_score=round(found.predicted, 4),
            confidence=round(found.confidence, 4),
            intervention_needed=found.intervention_needed,
            timeframe_days=len(found.days),
        )

    async def _forecast(self, caller: Caller, student_id: str, student: Student, days: int) -> Forecast:
        due_days = sorted(await self._due_days(caller.tenant, student_id))
        return forecast(student, self._engine.clock(), days, self._model, self._engine.rules, due_days)
