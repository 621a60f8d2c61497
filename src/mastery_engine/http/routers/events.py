"""Calls that take learning events, and the status of an event."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from mastery_engine.domain.events.envelope import Envelope
from mastery_engine.domain.given_ids import EVENT_ID
from mastery_engine.http.body import AskedCourse, Rows, StudentId, read_struct
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key, json_body, note_student
from mastery_engine.http.openapi import KEYED, responds, takes
from mastery_engine.responses.ingest import EventStatus, IngestResponse, Receipt

router = APIRouter(route_class=EnvelopeRoute, tags=["events"])


@router.post(
    "/mastery/ingest", status_code=202, openapi_extra=responds(Receipt, 202, limit=None) | takes(Envelope) | KEYED
)
async def ingest(engine: TheEngine, caller: Authenticated, request: Request) -> Receipt:
    """Take one event; it is durable once this answers."""
    body = await json_body(request)
    taken = await engine.ingest.take_one(caller, body, idempotency_key(request, body))
    note_student(request, taken.student_id)
    return taken.receipt_or_refusal()


@router.post(
    "/mastery/ingest/batch",
    status_code=202,
    openapi_extra=responds(IngestResponse, 202, limit=None) | takes(Rows) | KEYED,
)
async def ingest_batch(engine: TheEngine, caller: Authenticated, request: Request) -> IngestResponse:
    """Take up to 1,000 events, each accepted or refused on its own; accepted ones are durable once this answers."""
    body = await json_body(request)
    events = [bytes(event) for event in read_struct(Rows, body).events]
    return await engine.ingest.take(caller, events, idempotency_key(request, body), call="ingest-batch")


@router.get("/students/{student_id}/events/{event_id}", openapi_extra=responds(EventStatus, limit=None))
async def event_status(
    engine: TheEngine,
    caller: Authenticated,
    student_id: StudentId,
    event_id: Annotated[str, Path(pattern=EVENT_ID)],
    course_id: AskedCourse = None,
) -> EventStatus:
    """Whether an event was processed, dead-lettered, or neither so far; without a course, of any of the student's."""
    return await engine.ingest.status(caller, student_id, event_id, course_id=course_id)
