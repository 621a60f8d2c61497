"""Calls about forecasts, trajectories and the next answers."""

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter
from pydantic import AwareDatetime, Field, PlainValidator

from mastery_engine.domain.courses.course import CourseItem
from mastery_engine.domain.events.envelope import moment_from
from mastery_engine.http.body import Body, ItemId, Name, OfStudent
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine
from mastery_engine.http.openapi import responds
from mastery_engine.responses.forecasts import Prediction, Trajectory
from mastery_engine.responses.next_answers import NextAnswer
from mastery_engine.services.next_answers import MOST_ITEMS

router = APIRouter(route_class=EnvelopeRoute, tags=["predictions"], prefix="/predictions")


class NextWeek(OfStudent):
    """Which student, and how many days ahead."""

    timeframe_days: Annotated[int, Field(ge=1, le=30)] = 7


class DaysBack(OfStudent):
    """Which student, and how many days back."""

    days: Annotated[int, Field(ge=7, le=90)] = 30


@router.post("/next-week", openapi_extra=responds(Prediction, limit="predictions"))
async def next_week(engine: TheEngine, caller: Authenticated, body: NextWeek) -> Prediction:
    """The forecast of a student's score for each of the next days, with its confidence."""
    return await engine.forecasts.next_days(caller, body.student_id, body.timeframe_days, course_id=body.course_id)


@router.post("/trajectory", openapi_extra=responds(Trajectory, limit="predictions"))
async def trajectory(engine: TheEngine, caller: Authenticated, body: DaysBack) -> Trajectory:
    """A student's past scores, their trend, and the forecast for the next 7 days."""
    return await engine.forecasts.trajectory(caller, body.student_id, body.days, course_id=body.course_id)


_Aware = Annotated[datetime, msgspec.Meta(tz=True)]
_Sent = AwareDatetime | Annotated[int, Field(ge=0, description="milliseconds since 1970")]


def _as_moment(value: object) -> datetime | int:
    """One of the two forms of a moment; of a value that is neither one sentence, which names the field as sent."""
    try:
        return msgspec.convert(value, type=_Aware | int)
    except msgspec.ValidationError:
        raise ValueError("must be a time with Z or an offset, as in 2026-01-14T10:30:00Z, or milliseconds") from None


Moment = Annotated[datetime | int, PlainValidator(_as_moment, json_schema_input_type=_Sent)]


class AskedItem(Body):
    """An item that may be asked, and the skills that it exercises."""

    item_id: ItemId
    skills: Annotated[tuple[Name, ...], Field(max_length=8)] = ()


class ManyItems(OfStudent):
    """Which student, which items, and when they would be answered: now, or at a moment up to 30 days ahead."""

    items: Annotated[list[AskedItem], Field(min_length=1, max_length=MOST_ITEMS)]
    at: Moment | None = None


@router.post("/next-answer", openapi_extra=responds(NextAnswer, many=True, limit="predictions"))
async def next_answer(engine: TheEngine, caller: Authenticated, body: ManyItems) -> list[NextAnswer]:
    """How likely a student's next answer to each item is right; who has answered nothing gets what the items say."""
    items = [CourseItem(item.item_id, item.skills) for item in body.items]
    at = None if body.at is None else moment_from(body.at, field="at")
    return await engine.next_answers.predict(caller, body.student_id, items, at, course_id=body.course_id)
