"""What a student's past says."""

import csv
import io
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from mastery_engine.http.bodies import History
from mastery_engine.http.envelope_route import Authenticated, Face
from mastery_engine.http.openapi import answers
from mastery_engine.responses.scores import MasteryHistory
from mastery_engine.services import Mastery

router = APIRouter(route_class=Face, tags=["analytics"], prefix="/analytics")


@router.post("/mastery-history", openapi_extra=answers(MasteryHistory, also="text/csv"))
async def mastery_history(
    caller: Authenticated,
    request: Request,
    body: History,
    format: Annotated[Literal["json", "csv"], Query()] = "json",  # noqa: A002  the contract's name
) -> MasteryHistory | Response:
    """Daily, weekly or monthly scores of a range of days, as JSON or CSV."""
    mastery: Mastery = request.app.state.mastery
    found = await mastery.history(caller, body.student_id, body.start_date, body.end_date, body.aggregation)
    return _csv(found) if "csv" in (format, body.format) else found


def _csv(found: MasteryHistory) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["date", "mastery_score", "level"])
    writer.writerows((point.date, point.mastery_score, point.level) for point in found.history)
    return Response(
        text.getvalue(),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="mastery-history-{found.student_id}.csv"'},
    )
