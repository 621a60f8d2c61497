"""Where a student's score is going."""

from fastapi import APIRouter, Request

from mastery_engine.http import bodies_predictions as bodies
from mastery_engine.http.envelope_route import Authenticated, Face
from mastery_engine.http.openapi import answers
from mastery_engine.responses.forecasts import Prediction, Trajectory
from mastery_engine.services.forecasts import Predictions

router = APIRouter(route_class=Face, tags=["predictions"], prefix="/predictions")


@router.post("/next-week", openapi_extra=answers(Prediction))
async def next_week(caller: Authenticated, request: Request, body: bodies.NextWeek) -> Prediction:
    """The forecast of a student's score for each of the next days, with its confidence."""
    predictions: Predictions = request.app.state.predictions
    return await predictions.next_days(caller, body.student_id, body.timeframe_days)


@router.post("/trajectory", openapi_extra=answers(Trajectory))
async def trajectory(caller: Authenticated, request: Request, body: bodies.Trajectory) -> Trajectory:
    """A student's past scores, their trend, and the forecast for the next 7 days."""
    predictions: Predictions = request.app.state.predictions
    return await predictions.trajectory(caller, body.student_id, body.days)
