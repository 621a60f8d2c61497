"""Learning events by Dapr's pub/sub, unless the log is Kafka: then the worker reads the same topic itself.

The answer to Dapr is SUCCESS once the event is durable, RETRY if a dependency does not answer, and DROP for what can
never be read: Dapr puts that into the dead-letter topic, and the logs and the event's status have the reason.
"""

from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.json_text import without_mark
from mastery_engine.http.envelope import JSON
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import TheEngine, note_student
from mastery_engine.http.openapi import bare
from mastery_engine.http.sidecar import SecurityContext, caller_of, check_sidecar
from mastery_engine.settings import Settings

ROUTE = "/dapr/events"
REQUESTS = "mastery.requests"
DEAD_LETTERS = "mastery.dlq"

router = APIRouter(route_class=EnvelopeRoute, tags=["dapr"])


class Subscription(msgspec.Struct, frozen=True, rename="camel"):
    """A topic that Dapr should deliver, and the route to deliver it to."""

    pubsubname: str
    topic: str
    route: str
    dead_letter_topic: str


class Outcome(msgspec.Struct, frozen=True):
    """What Dapr should do with the event: nothing more, deliver it again, or drop it."""

    status: Literal["SUCCESS", "RETRY", "DROP"]


TAKES_ANY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A CloudEvent whose `data` is a learning event, or the learning event itself.",
        "content": {"application/json": {"schema": {}}},  # what is none is answered too: Dapr is told to drop it
    }
}


@router.get("/dapr/subscribe", openapi_extra=bare(Subscription, many=True))
async def dapr_subscriptions(request: Request) -> Response:
    """The topics that Dapr should deliver: none if the log is Kafka, since the worker then reads the topic itself."""
    await check_sidecar(request)
    settings: Settings = request.state.settings
    wanted = [Subscription(settings.dapr_pubsub, REQUESTS, ROUTE, DEAD_LETTERS)]
    return Response(msgspec.json.encode([] if settings.log == "kafka" else wanted), media_type=JSON)


@router.post(ROUTE, openapi_extra=bare(Outcome) | TAKES_ANY)
async def dapr_event(engine: TheEngine, request: Request) -> Response:
    """Take an event that Dapr delivers, inside a CloudEvent or bare."""
    await check_sidecar(request)
    caller = await caller_of(request, SecurityContext())
    value, outside_id = unwrap(without_mark(await request.body()))
    status, student_id = await engine.ingest.deliver(caller, value, outside_id)
    note_student(request, student_id)
    return Response(msgspec.json.encode(Outcome(status)), media_type=JSON)
