"""The door of Canvas: its Live Events by HTTPS, in Canvas's own form, bare or as a signed body."""

from typing import Any

from fastapi import APIRouter, Request
from msgspec import Struct

from mastery_engine.auth.signed_bodies import signed_text
from mastery_engine.doors.translating import messages_in
from mastery_engine.engine import Engine
from mastery_engine.errors import Unauthenticated
from mastery_engine.http.body import read_document
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import TheEngine, address_of, idempotency_key, json_body
from mastery_engine.http.openapi import BY_PLATFORM, KEYED, responds, takes_messages
from mastery_engine.http.senders import sender_of
from mastery_engine.responses.doorways import DoorResults

router = APIRouter(route_class=EnvelopeRoute, tags=["doors"])

A_CHANGE = {
    "metadata": {
        "event_name": "grade_change",
        "event_time": "2026-01-14T10:30:00.000Z",
        "context_type": "Course",
        "context_id": "21070000000000565",
        "request_id": "1dd9dc6f-2fb0-4c19-a6c5-7ee1bf3ed295",
    },
    "body": {
        "assignment_id": "21070000000000355",
        "student_id": "21070000000000048",
        "submission_id": "21070000000011086",
        "score": 8.5,
        "points_possible": 10,
        "grading_complete": True,
    },
}


class CanvasEvent(Struct, frozen=True):
    """A Live Event in Canvas's own form. A list of them is taken too, and a JSON Web Token with one as its claims."""

    metadata: dict[str, Any]
    body: dict[str, Any]


@router.post(
    "/canvas/events",
    openapi_extra=responds(DoorResults, limit=None) | takes_messages(CanvasEvent, A_CHANGE) | KEYED | BY_PLATFORM,
)
async def send_canvas(engine: TheEngine, request: Request) -> DoorResults:
    """Take Canvas's Live Events: grades, outcomes and submitted quizzes become evidence, others are ignored by name.

    A signed body is checked by the keys that Canvas publishes (CANVAS_JWKS_URL). Signed or not, the school is that of
    the key and secret that the call shows by Basic authentication, or by its secret as a bearer token.
    """
    sender = await sender_of(request, "canvas")
    token = signed_text(await request.body())
    body = await json_body(request) if token is None else await _signed(engine, request, token)
    messages = messages_in("canvas", read_document(body))
    return DoorResults(await engine.doorways.take(sender, "canvas", messages, idempotency_key(request, body)))


async def _signed(engine: Engine, request: Request, token: str) -> bytes:
    """What was signed. Raises Unauthenticated, which counts against the address."""
    try:
        return await engine.canvas_bodies.message(token, request.state.at)
    except Unauthenticated:
        await engine.admission.blame(address_of(request), request.state.at)
        raise
