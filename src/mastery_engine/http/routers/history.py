"""The calls for the scores of a range of days, and for what changed in it."""

import csv
import datetime
import io
from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi import Query as QueryParameter
from pydantic import Field
from starlette.responses import Response

from mastery_engine.domain.evidence.periods import Aggregation
from mastery_engine.http.body import OfStudent
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine
from mastery_engine.http.openapi import responds
from mastery_engine.http.spreadsheets import as_text
from mastery_engine.responses.changes import Changes
from mastery_engine.responses.history import MasteryHistory

router = APIRouter(route_class=EnvelopeRoute, tags=["analytics"], prefix="/analytics")


class HistoryRange(OfStudent):
    """Which student, and a range of days, both ends included; by default the whole retention."""

    start_date: datetime.date | None = None
    end_date: datetime.date | None = None
    aggregation: Aggregation = "daily"
    format: Literal["json", "csv"] = "json"


class ChangeRange(OfStudent):
    """Which student, and between the ends of which days; by default from 7 days before ``to``, and until now."""

    from_: Annotated[datetime.date | None, Field(alias="from")] = None
    to: datetime.date | None = None


@router.post("/changes", openapi_extra=responds(Changes, limit="analytics"))
async def changes(engine: TheEngine, caller: Authenticated, body: ChangeRange) -> Changes:
    """What changed in a student's score between two days, and why: by component, and of the last 14 days by cause."""
    return await engine.scores.changes(caller, body.student_id, body.from_, body.to, course_id=body.course_id)


@router.post("/mastery-history", openapi_extra=responds(MasteryHistory, also="text/csv", limit="analytics"))
async def history(
    engine: TheEngine,
    caller: Authenticated,
    body: HistoryRange,
    format: Annotated[Literal["json", "csv"], QueryParameter()] = "json",  # noqa: A002  the contract's name
) -> MasteryHistory | Response:
    """Daily, weekly or monthly scores of a range of days, as JSON or CSV."""
    history = await engine.scores.history(
        caller, body.student_id, body.start_date, body.end_date, body.aggregation, course_id=body.course_id
    )
    return _csv(history) if "csv" in (format, body.format) else history


def _csv(history: MasteryHistory) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["date", "mastery_score", "level"])
    writer.writerows((point.date, point.mastery_score, as_text(point.level)) for point in history.history)
    return Response(
        text.getvalue(),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="mastery-history-{history.student_id}.csv"'},
    )
