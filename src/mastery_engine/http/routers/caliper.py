"""The door of Caliper (1EdTech Caliper Analytics 1.1 and 1.2): envelopes of events, as sensors send them."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from msgspec import Meta, Struct

from mastery_engine.doors.translating import messages_in
from mastery_engine.http.body import read_document
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import TheEngine, idempotency_key, json_body
from mastery_engine.http.openapi import BY_PLATFORM, KEYED, responds, takes_messages
from mastery_engine.http.senders import sender_of
from mastery_engine.responses.doorways import DoorResults

router = APIRouter(route_class=EnvelopeRoute, tags=["doors"])

A_GRADE = {
    "sensor": "https://lms.example.edu/sensors/1",
    "sendTime": "2026-01-14T10:30:05.000Z",
    "dataVersion": "http://purl.imsglobal.org/ctx/caliper/v1p2",
    "data": [
        {
            "@context": "http://purl.imsglobal.org/ctx/caliper/v1p2",
            "id": "urn:uuid:a50ca17f-5971-47bb-8fca-4e6e6879001d",
            "type": "GradeEvent",
            "profile": "GradingProfile",
            "actor": {"id": "https://lms.example.edu/users/teacher", "type": "Person"},
            "action": "Graded",
            "eventTime": "2026-01-14T10:30:00.000Z",
            "object": {
                "id": "https://lms.example.edu/quizzes/loops/users/554433/attempts/1",
                "type": "Attempt",
                "assignee": {"id": "https://lms.example.edu/users/554433", "type": "Person"},
                "assignable": {"id": "https://lms.example.edu/quizzes/loops", "type": "Assessment"},
            },
            "generated": {
                "id": "https://lms.example.edu/quizzes/loops/users/554433/results/1/scores/1",
                "type": "Score",
                "maxScore": 10.0,
                "scoreGiven": 9.0,
            },
        }
    ],
}


class CaliperEnvelope(Struct, frozen=True, rename="camel"):
    """What a sensor sends: ``data`` are events, and descriptions of entities, which are ignored by name.

    A list of envelopes, and a single event, are taken too.
    """

    sensor: str
    send_time: str
    data_version: str
    data: Annotated[list[dict[str, Any]], Meta(min_length=0)]


@router.post(
    "/caliper",
    openapi_extra=responds(DoorResults, limit=None) | takes_messages(CaliperEnvelope, A_GRADE) | KEYED | BY_PLATFORM,
)
async def send_caliper(engine: TheEngine, request: Request) -> DoorResults:
    """Take Caliper events (1.1 and 1.2): each becomes evidence, or is ignored or refused with its reason.

    The learner of a grade is its assignee. A platform shows its key and secret by Basic authentication, or its secret
    as a bearer token.
    """
    sender = await sender_of(request, "caliper")
    body = await json_body(request)
    messages = messages_in("caliper", read_document(body))
    return DoorResults(await engine.doorways.take(sender, "caliper", messages, idempotency_key(request, body)))
