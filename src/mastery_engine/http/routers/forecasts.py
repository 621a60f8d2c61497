"""Calls about forecasts and trajectories."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from mastery_engine.http.body import Body, StudentId
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine
from mastery_engine.http.openapi import responds
from mastery_engine.responses.forecasts import Prediction, Trajectory

router = APIRouter(route_class=EnvelopeRoute, tags=["predictions"], prefix="/predictions")


class NextWeek(Body):
    """Which student, and how many days ahead."""

    student_id: StudentId
    timeframe_days: Annotated[int, Field(ge=1, le=30)] = 7


class DaysBack(Body):
    """Which student, and how many days back."""

    student_id: StudentId
    days: Annotated[int, Field(ge=7, le=90)] = 30


@router.post("/next-week", openapi_extra=responds(Prediction, limit="predictions"))
async def next_week(engine: TheEngine, caller: Authenticated, body: NextWeek) -> Prediction:
    """The forecast of a student's score for each of the next days, with its confidence."""
    return await engine.forecasts.next_days(caller, body.student_id, body.timeframe_days)


@router.post("/trajectory", openapi_extra=responds(Trajectory, limit="predictions"))
async def trajectory(engine: TheEngine, caller: Authenticated, body: DaysBack) -> Trajectory:
    """A student's past scores, their trend, and the forecast for the next 7 days."""
    return await engine.forecasts.trajectory(caller, body.student_id, body.days)
