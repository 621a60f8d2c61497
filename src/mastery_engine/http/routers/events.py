"""Learning events in, and what became of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from mastery_engine.domain.events.envelope import EVENT_ID, Envelope, peek
from mastery_engine.errors import Forbidden, InvalidInput
from mastery_engine.http.bodies import Rows, StudentId, read_rows
from mastery_engine.http.envelope_route import Authenticated, Face, idempotency_key, json_body, note_student
from mastery_engine.http.openapi import KEYED, answers, takes
from mastery_engine.responses.scores import EventStatus, IngestAnswer, Receipt
from mastery_engine.services import Mastery

router = APIRouter(route_class=Face, tags=["events"])


@router.post("/mastery/ingest", status_code=202, openapi_extra=answers(Receipt, 202) | takes(Envelope) | KEYED)
async def ingest(caller: Authenticated, request: Request) -> Receipt:
    """Take one event; it is durable once this answers."""
    mastery: Mastery = request.app.state.mastery
    body = await json_body(request)
    note_student(request, peek(body)[0])
    return taken(await mastery.ingest(caller, [body], idempotency_key(request)))


def taken(answer: IngestAnswer) -> Receipt:
    """The receipt of the one event that was sent. Raises Forbidden, InvalidInput where it was refused."""
    (receipt,) = answer.results
    if receipt.error is not None:
        refused = Forbidden if receipt.error.code == Forbidden.code else InvalidInput
        raise refused(receipt.error.message, field=receipt.error.field)
    return receipt


@router.post("/mastery/ingest/batch", status_code=202, openapi_extra=answers(IngestAnswer, 202) | takes(Rows) | KEYED)
async def ingest_batch(caller: Authenticated, request: Request) -> IngestAnswer:
    """Take up to 1,000 events, each accepted or refused on its own; the accepted are durable once this answers."""
    mastery: Mastery = request.app.state.mastery
    body = read_rows(Rows, await json_body(request))
    return await mastery.ingest(
        caller, [bytes(event) for event in body.events], idempotency_key(request), call="ingest-batch"
    )


@router.get("/students/{student_id}/events/{event_id}", openapi_extra=answers(EventStatus))
async def event_status(
    caller: Authenticated,
    request: Request,
    student_id: StudentId,
    event_id: Annotated[str, Path(pattern=EVENT_ID)],
) -> EventStatus:
    """Whether an event has been processed, dead-lettered, or neither so far."""
    mastery: Mastery = request.app.state.mastery
    return await mastery.event_status(caller, student_id, event_id)
