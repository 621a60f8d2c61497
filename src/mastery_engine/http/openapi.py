"""The OpenAPI document: FastAPI's, with the answers' and the events' own schemas."""

import json
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from mastery_engine import __version__
from mastery_engine.domain.events.envelope import Envelope
from mastery_engine.domain.events.kinds import ALIASES, KINDS
from mastery_engine.http.bodies import BatchCalculate, Rows
from mastery_engine.http.problems import CODE
from mastery_engine.services.batches import RowBody

REF = "#/components/schemas/{name}"
TITLE = "Mastery Engine"
SIDECAR = {"type": "apiKey", "in": "header", "name": "dapr-api-token", "description": "What the Dapr sidecar shows."}
WHATEVER = {"description": "Any other row is refused alone."}
A_QUIZ = {"event_type": "quiz", "student_id": "s_1", "data": {"total_questions": 10, "correct_answers": 9}}
A_ROW = {"student_id": "s_1", "components": {"completion": 0.85, "quiz": 0.9}}
KEYED: dict[str, Any] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Stands for one call for 24 hours: the same call again counts once. With other content a "
            "calculation or a batch is 409; an ingest answers as for a repeat, and the events that came first hold.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }
    ]
}
BY_SIDECAR: list[dict[str, list[str]]] = [{"Sidecar": []}]


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong, in a code for programs and a sentence for people; ``details.field`` names the input at fault."""

    code: str
    message: str
    details: dict[str, Any]


class Failure(msgspec.Struct, frozen=True):
    """The answer to a call that failed."""

    success: bool
    error: ErrorBody
    meta: dict[str, str]


def answers(
    kind: type[msgspec.Struct],
    status: int = 200,
    *,
    also: str | None = None,
    many: bool = False,
    **more: type[msgspec.Struct],
) -> dict[str, Any]:
    """A route's ``openapi_extra``: what it answers, in the envelope, or as text of the media type ``also``.

    ``many`` is a list of them; ``more`` are further statuses, as ``_202``.
    """
    kinds = {status: kind} | {int(name[1:]): one for name, one in more.items()}
    responses = {str(code): _answer(one, many=many) for code, one in kinds.items()}
    if also is not None:
        responses[str(status)]["content"][also] = {"schema": {"type": "string"}}
    return {"responses": responses}


def takes(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The part of ``openapi_extra`` for a body that is not a Pydantic model."""
    schema = {"$ref": REF.format(name=kind.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def any_of(*kinds: type[msgspec.Struct]) -> dict[str, Any]:
    """A route's ``openapi_extra`` where it answers one of several, in the envelope, with 200 or 202."""
    answer = _answer(kinds[0])
    data = {"anyOf": [{"$ref": REF.format(name=kind.__name__)} for kind in kinds]}
    answer["content"]["application/json"]["schema"]["properties"]["data"] = data
    answer["description"] = "What the call of that intent answers."
    return {"responses": {"200": answer, "202": answer}, "security": [{"Bearer": []}, *BY_SIDECAR]}


def bare(kind: type[msgspec.Struct], *, many: bool = False) -> dict[str, Any]:
    """A route's ``openapi_extra`` for an answer whose form another system sets: no envelope."""
    schema: dict[str, Any] = {"$ref": REF.format(name=kind.__name__)}
    schema = {"type": "array", "items": schema} if many else schema
    description = (kind.__doc__ or "").splitlines()[0]
    content = {"application/json": {"schema": schema}}
    return {"responses": {"200": {"description": description, "content": content}}, "security": BY_SIDECAR}


def _answer(kind: type[msgspec.Struct], *, many: bool = False) -> dict[str, Any]:
    one = {"$ref": REF.format(name=kind.__name__)}
    envelope = {
        "type": "object",
        "required": ["success", "data", "meta"],
        "properties": {
            "success": {"const": True},
            "data": {"type": "array", "items": one} if many else one,
            "meta": {"$ref": REF.format(name="Meta")},
        },
    }
    return {"description": (kind.__doc__ or "").splitlines()[0], "content": {"application/json": {"schema": envelope}}}


def document(app: FastAPI, kinds: tuple[type[msgspec.Struct], ...]) -> dict[str, Any]:
    """OpenAPI 3.1 for the routes of ``app``; ``kinds`` are the answers it refers to."""
    made = get_openapi(title=TITLE, version=__version__, routes=app.routes, description=app.description)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    made["components"].setdefault("securitySchemes", {})["Sidecar"] = SIDECAR
    for name in [name for name in schemas if "ValidationError" in name]:
        del schemas[name]
    _, ours = msgspec.json.schema_components([*kinds, Failure, *KINDS.values()], ref_template=REF)
    schemas |= json.loads(json.dumps(ours))
    schemas["Envelope"] = learning_event(schemas)
    schemas["Rows"] = _many(Rows, "events", {"$ref": REF.format(name="Envelope")}, A_QUIZ)
    _, row = msgspec.json.schema_components([RowBody], ref_template=REF)
    schemas |= row
    schemas["BatchCalculate"] = _many(BatchCalculate, "requests", {"$ref": REF.format(name="RowBody")}, A_ROW)
    for path in made["paths"].values():
        for operation in path.values():
            _add_failures(operation)
    return made


def learning_event(schemas: dict[str, Any]) -> dict[str, Any]:
    """The event's envelope: one variant for each kind, with the names it goes by."""
    base = msgspec.json.schema_components([Envelope], ref_template=REF)[1]["Envelope"]
    common = {name: schema for name, schema in base["properties"].items() if name not in ("event_type", "data")}
    variants = [
        {
            "type": "object",
            "title": kind.__name__,
            "description": schemas[kind.__name__].get("description", ""),
            "required": ["event_type", "student_id", "data"],
            "properties": {
                "event_type": {"enum": [name, *(alias for alias, of in ALIASES.items() if of == name)]},
                "data": {"$ref": REF.format(name=kind.__name__)},
                **common,
            },
        }
        for name, kind in KINDS.items()
    ]
    return {"title": "LearningEvent", "oneOf": variants}


def _many(kind: type[msgspec.Struct], rows: str, row: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body whose rows are each judged on their own."""
    schema: dict[str, Any] = msgspec.json.schema_components([kind], ref_template=REF)[1][kind.__name__]
    schema["properties"][rows]["items"] = {"anyOf": [row, WHATEVER]}
    schema["examples"] = [{rows: [example]}]
    return schema


def _add_failures(operation: dict[str, Any]) -> None:
    """The statuses that a call may fail with, in the envelope."""
    responses = operation["responses"]
    responses.pop("422", None)
    guarded = bool(operation.get("security"))
    likely = [404, 500, 503] if not guarded else [400, 401, 403, 404, 409, 413, 415, 429, 500, 503]
    for status in likely:
        responses.setdefault(
            str(status),
            {
                "description": CODE[status],
                "content": {"application/json": {"schema": {"$ref": REF.format(name="Failure")}}},
            },
        )
