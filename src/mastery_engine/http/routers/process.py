"""``/process``: every call of the engine by its intent, for services that invoke it through Dapr."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.envelope import malformed, peek
from mastery_engine.errors import InvalidInput
from mastery_engine.http.bodies import Calculate, Query
from mastery_engine.http.bodies_advice import Advise, FindPath
from mastery_engine.http.bodies_predictions import NextWeek
from mastery_engine.http.envelope import success
from mastery_engine.http.envelope_route import Face, idempotency_key, json_body, note_student, parse
from mastery_engine.http.openapi import any_of, takes
from mastery_engine.http.routers.events import taken
from mastery_engine.http.sidecar import SecurityContext, caller_of
from mastery_engine.responses.advice import LearningPath
from mastery_engine.responses.forecasts import Prediction
from mastery_engine.responses.scores import Calculated, Receipt, StudentMastery
from mastery_engine.services import Mastery
from mastery_engine.services.advice import Advising
from mastery_engine.services.forecasts import Predictions

router = APIRouter(route_class=Face, tags=["dapr"])


class ProcessBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call by its intent; ``payload`` is the body of the call that the intent stands for."""

    intent: str
    payload: dict[str, Any]
    security_context: SecurityContext = SecurityContext()


class _Raw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    intent: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    security_context: SecurityContext | None = None


Answered: TypeAlias = tuple[Any, int]
Intent: TypeAlias = Callable[[Request, Caller, bytes], Awaitable[Answered]]
Model = TypeVar("Model", bound=BaseModel)


def _read(request: Request, model: type[Model], payload: bytes) -> Model:
    """The payload by the model of its call. Raises InvalidInput with the field at fault."""
    found = cast("Model", parse(model, payload))
    note_student(request, getattr(found, "student_id", None))
    return found


async def _calculate(request: Request, caller: Caller, payload: bytes) -> Answered:
    mastery: Mastery = request.app.state.mastery
    body = _read(request, Calculate, payload)
    key = idempotency_key(request)
    values = body.components.values()
    return await mastery.calculate(caller, body.student_id, values, record=body.record, key=key), 200


async def _query(request: Request, caller: Caller, payload: bytes) -> Answered:
    mastery: Mastery = request.app.state.mastery
    body = _read(request, Query, payload)
    on, with_components = body.date, body.include_components
    return await mastery.query(caller, body.student_id, on=on, with_components=with_components), 200


async def _ingest(request: Request, caller: Caller, payload: bytes) -> Answered:
    mastery: Mastery = request.app.state.mastery
    note_student(request, peek(payload)[0])
    return taken(await mastery.ingest(caller, [payload], idempotency_key(request))), 202


async def _predict(request: Request, caller: Caller, payload: bytes) -> Answered:
    predictions: Predictions = request.app.state.predictions
    body = _read(request, NextWeek, payload)
    return await predictions.next_days(caller, body.student_id, body.timeframe_days), 200


async def _recommend(request: Request, caller: Caller, payload: bytes) -> Answered:
    advising: Advising = request.app.state.advising
    body = _read(request, Advise, payload)
    return await advising.recommendations(caller, body.student_id, limit=body.limit, priority=body.priority), 200


async def _path(request: Request, caller: Caller, payload: bytes) -> Answered:
    advising: Advising = request.app.state.advising
    body = _read(request, FindPath, payload)
    return await advising.path(caller, body.student_id, body.goal, body.topic), 200


INTENTS: Mapping[str, Intent] = {
    "mastery_calculation": _calculate,
    "get_prediction": _predict,
    "generate_path": _path,
    "recommendations": _recommend,
    "query": _query,
    "ingest": _ingest,
}


@router.post(
    "/process", openapi_extra=any_of(Calculated, StudentMastery, Prediction, LearningPath, Receipt) | takes(ProcessBody)
)
async def process(request: Request) -> Response:
    """The call that the intent stands for; who calls is the sidecar, or the bearer that it speaks for."""
    body = await json_body(request)
    try:
        body.decode()
        asked = msgspec.json.decode(body, type=_Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        await caller_of(request, SecurityContext())
        raise malformed(error) from error
    caller = await caller_of(request, asked.security_context or SecurityContext())
    intent = INTENTS.get(asked.intent)
    if intent is None:
        raise InvalidInput(f"The intent is none of {', '.join(sorted(INTENTS))}.", field="intent")
    answer, status = await intent(request, caller, bytes(asked.payload))
    return success(answer, request.state.meta, status)
