"""``/process``: calls by their intent, for services that invoke the engine through Dapr."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.auth.limits import LimitKind
from mastery_engine.domain.faults import malformed
from mastery_engine.engine import Engine
from mastery_engine.errors import InvalidInput
from mastery_engine.http.body import parse
from mastery_engine.http.envelope import success
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import TheEngine, idempotency_key, json_body, note_student
from mastery_engine.http.openapi import KEYED, any_of, takes
from mastery_engine.http.routers.advice import Advise, FindPath
from mastery_engine.http.routers.forecasts import NextWeek
from mastery_engine.http.routers.scores import Calculate, MasteryQuery
from mastery_engine.http.sidecar import SecurityContext, caller_of, check_sender
from mastery_engine.responses.advice import LearningPath, Recommended
from mastery_engine.responses.forecasts import Prediction
from mastery_engine.responses.ingest import Receipt
from mastery_engine.responses.scores import Calculated, StudentMastery

router = APIRouter(route_class=EnvelopeRoute, tags=["dapr"])


class ProcessBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call by its intent; ``payload`` is the body of the call that the intent stands for."""

    intent: str
    payload: dict[str, Any]
    security_context: SecurityContext = SecurityContext()


class RawProcessBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As ``ProcessBody``, with the payload undecoded."""

    intent: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    security_context: SecurityContext | None = None


Answered: TypeAlias = tuple[Any, int]
Call: TypeAlias = Callable[[Engine, Request, Caller, bytes], Awaitable[Answered]]
Model = TypeVar("Model", bound=BaseModel)


def _read(request: Request, model: type[Model], payload: bytes) -> Model:
    """The payload as the body of its call. Raises InvalidInput, which names the field."""
    body = cast("Model", parse(model, payload))
    note_student(request, getattr(body, "student_id", None))
    return body


async def _calculate(engine: Engine, request: Request, caller: Caller, payload: bytes) -> Answered:
    body = _read(request, Calculate, payload)
    key, values = idempotency_key(request, payload), body.components.values()
    return (
        await engine.scores.calculate(
            caller, body.student_id, values, course_id=body.course_id, record=body.record, key=key
        ),
        200,
    )


async def _query(engine: Engine, request: Request, caller: Caller, payload: bytes) -> Answered:
    body = _read(request, MasteryQuery, payload)
    return (
        await engine.scores.query(
            caller, body.student_id, course_id=body.course_id, on=body.date, with_components=body.include_components
        ),
        200,
    )


async def _ingest(engine: Engine, request: Request, caller: Caller, payload: bytes) -> Answered:
    taken = await engine.ingest.take_one(caller, payload, idempotency_key(request, payload))
    note_student(request, taken.student_id)
    return taken.receipt_or_refusal(), 202


async def _forecast(engine: Engine, request: Request, caller: Caller, payload: bytes) -> Answered:
    body = _read(request, NextWeek, payload)
    return await engine.forecasts.next_days(caller, body.student_id, body.timeframe_days, course_id=body.course_id), 200


async def _recommend(engine: Engine, request: Request, caller: Caller, payload: bytes) -> Answered:
    body = _read(request, Advise, payload)
    return (
        await engine.advice.recommendations(
            caller, body.student_id, course_id=body.course_id, limit=body.limit, priority=body.priority
        ),
        200,
    )


async def _path(engine: Engine, request: Request, caller: Caller, payload: bytes) -> Answered:
    body = _read(request, FindPath, payload)
    return await engine.advice.path(caller, body.student_id, body.goal, body.topic, course_id=body.course_id), 200


# Each intent with its call, and the kind of the rate limit for callers with a bearer token.
INTENTS: Mapping[str, tuple[Call, LimitKind | None]] = {
    "mastery_calculation": (_calculate, "calculate"),
    "get_prediction": (_forecast, "predictions"),
    "generate_path": (_path, "recommendations"),
    "recommendations": (_recommend, "recommendations"),
    "query": (_query, "query"),
    "ingest": (_ingest, None),
}
UNKNOWN_INTENT: tuple[None, LimitKind] = (None, "query")


@router.post(
    "/process",
    openapi_extra=any_of(Calculated, StudentMastery, Prediction, LearningPath, Receipt, lists=[Recommended])
    | takes(ProcessBody)
    | KEYED,
)
async def process(engine: TheEngine, request: Request) -> Response:
    """Make the call that the intent stands for, as the sidecar or as the bearer whose token it sends."""
    await check_sender(request)
    body = await json_body(request)
    try:
        body.decode()
        asked = msgspec.json.decode(body, type=RawProcessBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        await caller_of(request, SecurityContext(), "query")
        raise malformed(error, source=body) from error
    call: Call | None
    call, kind = INTENTS.get(asked.intent, UNKNOWN_INTENT)
    caller = await caller_of(request, asked.security_context or SecurityContext(), kind)
    idempotency_key(request, body)  # also a call that reads refuses one that is none
    if call is None:
        raise InvalidInput(f"intent must be one of {', '.join(sorted(INTENTS))}.", field="intent")
    answer, status = await call(engine, request, caller, bytes(asked.payload))
    return success(answer, request.state.meta, status)
