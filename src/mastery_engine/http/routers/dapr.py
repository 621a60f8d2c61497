"""Learning events by Dapr's pub/sub, where the log is not Kafka: else the same topic would be read twice.

Dapr is told SUCCESS once the event is durable, RETRY where something is away, and DROP for what can never be read:
that goes to the dead-letter topic, with its reason in the log and with the event's status.
"""

import logging
from typing import Literal

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import EventId, peek
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Busy, Unavailable
from mastery_engine.http.envelope import JSON
from mastery_engine.http.envelope_route import Face, note_student
from mastery_engine.http.openapi import bare
from mastery_engine.http.sidecar import SecurityContext, caller_of, check_sidecar
from mastery_engine.ports.documents import Refusal
from mastery_engine.ports.event_log import REQUESTS_TOPIC
from mastery_engine.responses.scores import Problem
from mastery_engine.services import Mastery
from mastery_engine.settings import Settings

logger = logging.getLogger(__name__)

ROUTE = "/dapr/events"
DEAD_LETTERS = "mastery.dlq"

router = APIRouter(route_class=Face, tags=["dapr"])


class Subscription(msgspec.Struct, frozen=True, rename="camel"):
    """What Dapr is asked to deliver, and where."""

    pubsubname: str
    topic: str
    route: str
    dead_letter_topic: str


class Outcome(msgspec.Struct, frozen=True):
    """What Dapr is to do with the event: forget it, deliver it again, or drop it."""

    status: Literal["SUCCESS", "RETRY", "DROP"]


def _outer_id(value: str | None) -> str | None:
    """A CloudEvent's id where it can be an event's."""
    try:
        return msgspec.convert(value, EventId)
    except msgspec.ValidationError:
        return None


@router.get("/dapr/subscribe", openapi_extra=bare(Subscription, many=True))
async def subscribe(request: Request) -> Response:
    """What Dapr is to deliver: nothing where Kafka is the log, whose worker reads the topic itself."""
    check_sidecar(request)
    settings: Settings = request.app.state.settings
    wanted = [Subscription(settings.dapr_pubsub, REQUESTS_TOPIC, ROUTE, DEAD_LETTERS)]
    return Response(msgspec.json.encode([] if settings.log == "kafka" else wanted), media_type=JSON)


@router.post(ROUTE, openapi_extra=bare(Outcome))
async def deliver(request: Request) -> Response:
    """An event that Dapr delivers, in a CloudEvent or bare."""
    check_sidecar(request)
    caller = await caller_of(request, SecurityContext())
    mastery: Mastery = request.app.state.mastery
    outside = await request.body()
    value, outer_id = unwrap(outside)
    student_id, event_id = peek(value)
    note_student(request, student_id)
    named = event_id or _outer_id(outer_id)
    try:
        answer = await mastery.ingest(caller, [value], event_id=named, call="dapr")
        (receipt,) = answer.results
        if receipt.error is not None:
            await _note(mastery, caller, student_id, named, receipt.error)
    except (Unavailable, Busy) as error:
        logger.warning("an event is to be delivered again: %s", error.message)
        return _outcome("RETRY")
    return _outcome("SUCCESS" if receipt.error is None else "DROP")


async def _note(
    mastery: Mastery, caller: Caller, student_id: str | None, event_id: str | None, problem: Problem
) -> None:
    """Why an event is dropped, for the operator and for whoever asks about the event."""
    mastery.metrics.dead_letters.labels(problem.code).inc()
    logger.warning("dead letter: %s", problem.message, extra={"code": problem.code, "topic": REQUESTS_TOPIC})
    if student_id is not None and event_id is not None:
        key = StudentKey(caller.tenant, student_id)
        refusal = Refusal(key, event_id, problem.code, problem.message, mastery.clock())
        await mastery.store.note_refusals([refusal])


def _outcome(status: Literal["SUCCESS", "RETRY", "DROP"]) -> Response:
    return Response(msgspec.json.encode(Outcome(status)), media_type=JSON)
