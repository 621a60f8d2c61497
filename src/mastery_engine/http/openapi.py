"""The OpenAPI document: FastAPI's, with the schemas of answers and events made by msgspec."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from mastery_engine import __version__
from mastery_engine.auth.limits import LimitKind
from mastery_engine.domain.events.envelope import Envelope
from mastery_engine.domain.events.kinds import ALIASES, KINDS
from mastery_engine.http.body import BatchCalculate, Rows
from mastery_engine.http.document.described import describe, failure
from mastery_engine.http.envelope import Meta
from mastery_engine.services.batches import RowBody

LIMIT = "x-rate-limit"  # the kind of a route's rate limit; None, which is left out of the document, means no limit
REF = "#/components/schemas/{name}"
TITLE = "Mastery Engine"
SIDECAR = {"type": "apiKey", "in": "header", "name": "dapr-api-token", "description": "The token of the Dapr sidecar."}
PLATFORM = {"type": "http", "scheme": "basic", "description": "A platform's key and secret (`credentials create`)."}
WHATEVER = {"description": "Any other row is refused on its own; the other rows are not affected."}
WHATEVER_IT_IS = {"description": "A list of them, or any other JSON: each message is answered by what became of it."}
A_QUIZ = {"event_type": "quiz", "student_id": "s_1", "data": {"total_questions": 10, "correct_answers": 9}}
A_ROW = {"student_id": "s_1", "components": {"completion": 0.85, "quiz": 0.9}}
KEYED: dict[str, Any] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Identifies one call for 24 hours: repeating the call counts once. With another body, which "
            "is another JSON value, it fails with 409.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }
    ]
}
# The types that routes take or respond with, by the names of their schemas.
_TYPES: dict[str, type[msgspec.Struct]] = {}

BY_SIDECAR: list[dict[str, list[str]]] = [{"Sidecar": []}]
BY_PLATFORM: dict[str, Any] = {"security": [{"Platform": []}, {"Bearer": []}]}


WRITTEN_HERE = (Envelope, Rows, BatchCalculate)  # types whose rows or kinds have their own schemas, made below


class ErrorBody(msgspec.Struct, frozen=True):
    """What is wrong: a code for programs and a sentence for people; ``details.field`` names the input at fault."""

    code: str
    message: str
    details: dict[str, Any]


class Failure(msgspec.Struct, frozen=True):
    """The answer to a call that failed."""

    success: bool
    error: ErrorBody
    meta: dict[str, str]


def _ref(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """A reference to the schema of a type, which is added to the document."""
    if _TYPES.setdefault(kind.__name__, kind) is not kind:
        raise two_called(kind.__name__)
    return {"$ref": REF.format(name=kind.__name__)}


def two_called(name: str) -> TypeError:
    """The error for two types with one name, since the document would show one of them for both."""
    return TypeError(f"Two types are called {name}: give one of them another name.")


def responds(
    kind: type[msgspec.Struct],
    status: int = 200,
    *,
    limit: LimitKind | None,
    also: str | None = None,
    many: bool = False,
    **more: type[msgspec.Struct],
) -> dict[str, Any]:
    """A route's ``openapi_extra``: its answer, in the envelope, or as text of the media type ``also``.

    ``limit`` is the kind of the rate limit, None for no limit. With ``many`` the answer is a list; ``more`` gives the
    answers of further statuses, as in ``_202``.
    """
    kinds = {status: kind} | {int(name[1:]): one for name, one in more.items()}
    responses = {str(code): _response(sent, many=many) for code, sent in kinds.items()}
    if also is not None:
        responses[str(status)]["content"][also] = {"schema": {"type": "string"}}
    return {"responses": responses, LIMIT: limit}


def responds_openly(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """As ``responds``, for a call that needs no token."""
    return {"responses": {"200": _response(kind)}}


def serves(description: str, *media_types: str, also: Sequence[int] = ()) -> dict[str, Any]:
    """A route's ``openapi_extra`` for a call without a token whose answer has a form of its own, of one media type.

    ``also`` are the statuses with which it may fail beside those of all calls; what has a page has one for these, too.
    """
    content = {one: {"schema": {"type": "object"} if one == "application/json" else {}} for one in media_types}
    responses: dict[str, Any] = {"200": {"description": description, "content": content}}
    failures = {str(status): failure(status, has_page="text/html" in media_types) for status in also}
    return {"responses": responses | failures}


def failing(extra: dict[str, Any], *statuses: int) -> dict[str, Any]:
    """A route's ``openapi_extra`` with statuses with which it may fail beside those of all calls."""
    return extra | {"responses": extra["responses"] | {str(status): failure(status) for status in statuses}}


def takes(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The part of ``openapi_extra`` for a body that is not a Pydantic model."""
    schema = _ref(kind)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def takes_messages(kind: type[msgspec.Struct], example: dict[str, Any]) -> dict[str, Any]:
    """The same for messages of another platform, of which each is answered on its own, whatever it is."""
    content = {"schema": {"anyOf": [_ref(kind), WHATEVER_IT_IS]}, "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def any_of(*kinds: type[msgspec.Struct], lists: Sequence[type[msgspec.Struct]] = ()) -> dict[str, Any]:
    """A route's ``openapi_extra`` if it answers one of several types, or a list, in the envelope, with 200 or 202."""
    response = _response(kinds[0])
    data = {"anyOf": [*map(_ref, kinds), *({"type": "array", "items": _ref(kind)} for kind in lists)]}
    response["content"]["application/json"]["schema"]["properties"]["data"] = data
    response["description"] = "The answer of the call that the intent stands for."
    return {"responses": {"200": response, "202": response}, "security": [{"Bearer": []}, *BY_SIDECAR]}


def bare(kind: type[msgspec.Struct], *, many: bool = False) -> dict[str, Any]:
    """A route's ``openapi_extra`` for an answer without envelope, in the form that another system expects."""
    schema: dict[str, Any] = _ref(kind)
    schema = {"type": "array", "items": schema} if many else schema
    description = (kind.__doc__ or "").splitlines()[0]
    content = {"application/json": {"schema": schema}}
    responses = {"200": {"description": description, "content": content}}
    return {"responses": responses, "security": BY_SIDECAR}


def _response(kind: type[msgspec.Struct], *, many: bool = False) -> dict[str, Any]:
    one = _ref(kind)
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


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document for the routes of ``app``, with the schemas of what they take and respond with."""
    made = get_openapi(title=TITLE, version=__version__, routes=app.routes, description=app.description)
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    made["components"].setdefault("securitySchemes", {})["Sidecar"] = SIDECAR
    made["components"]["securitySchemes"]["Platform"] = PLATFORM
    for name in [name for name in schemas if "ValidationError" in name]:
        del schemas[name]
    _, ours = msgspec.json.schema_components(
        [*(kind for kind in _TYPES.values() if kind not in WRITTEN_HERE), Meta, Failure, *KINDS.values()],
        ref_template=REF,
    )
    for name in schemas.keys() & ours.keys():
        raise two_called(name)
    schemas |= json.loads(json.dumps(ours))
    schemas["Envelope"] = learning_event(schemas)
    schemas["Rows"] = _many(Rows, "events", {"$ref": REF.format(name="Envelope")}, A_QUIZ)
    _, row = msgspec.json.schema_components([RowBody], ref_template=REF)
    schemas |= row
    schemas["BatchCalculate"] = _many(BatchCalculate, "requests", {"$ref": REF.format(name="RowBody")}, A_ROW)
    for path in made["paths"].values():
        for operation in path.values():
            _add_failures(operation)
    describe(made)
    return made


def learning_event(schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of the event's envelope: one variant for each kind, with all its names."""
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
                "data": _ref(kind),
                **common,
            },
        }
        for name, kind in KINDS.items()
    ]
    return {"title": "LearningEvent", "oneOf": variants}


def _many(kind: type[msgspec.Struct], rows: str, row: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """The schema of a body whose rows are each checked on their own."""
    schema: dict[str, Any] = msgspec.json.schema_components([kind], ref_template=REF)[1][kind.__name__]
    schema["properties"][rows]["items"] = {"anyOf": [row, WHATEVER]}
    schema["examples"] = [{rows: [example]}]
    return schema


def _add_failures(operation: dict[str, Any]) -> None:
    """Add the statuses with which a call may fail, in the envelope."""
    responses = operation["responses"]
    responses.pop("422", None)
    guarded = bool(operation.get("security"))
    likely = [404, 431, 500, 503] if not guarded else [400, 401, 403, 404, 408, 409, 413, 415, 429, 431, 500, 503]
    for status in likely:
        responses.setdefault(str(status), failure(status))
