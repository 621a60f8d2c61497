"""Adds to the OpenAPI document what no type says: sentences, descriptions, examples, links, and how calls fail.

The words stand in the YAML files beside this module; a test finds calls, parameters and fields that have none, and
words of what is not there.
"""

import json
from importlib import resources
from typing import Any

import yaml

from mastery_engine import __version__
from mastery_engine.http.problems import CODE

FAILURE, FAILURE_OR_PAGE = "Failure", "FailureOrPage"
DEFAULT = "x-default"
AT, REQUEST_ID = "2026-01-14T10:30:00.000000Z", "3f0f2b6e-0d0b-4f0e-9a4e-0f3f5f0a7c11"
ON_THE_DEMO = (
    "Each request's example succeeds on `mastery-engine demo` as it stands, in the order of this document, with the "
    "token that the demo prints; a badge's name only its own student sets. Ids that the service makes come by links."
)

Json = dict[str, Any]

META = {"timestamp": AT, "version": __version__, "request_id": REQUEST_ID}


def failure(status: int, *, has_page: bool = False) -> Json:
    """The answer of a call that fails with a status: one shared response, or one that may also be a page."""
    name = FAILURE_OR_PAGE if has_page else FAILURE
    return {"$ref": f"#/components/responses/{name}", "description": CODE[status]}


def describe(document: Json) -> None:
    """Add all of it to a document."""
    calls = words("calls")
    operations = {one["operationId"]: one for path in document["paths"].values() for one in path.values()}
    for name, operation in operations.items():
        _describe_call(operation, calls["calls"].get(name, {}), calls["parameters"])
    for name, data in words("answers").items():
        _show_answer(operations[name], data)
    for link in calls["links"]:
        _link(operations, link)
    _describe_fields(document["components"]["schemas"], words("fields"))
    document["components"]["responses"] = _failures(words("failures"))
    document["info"]["description"] = f"{document['info']['description']} {ON_THE_DEMO}"


def words(name: str) -> Json:
    """What one of the files beside this module says."""
    text = resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    found: Json = yaml.load(text, Loader=yaml.CSafeLoader)  # nosec B506
    return found


def _describe_call(operation: Json, said: Json, descriptions: Json) -> None:
    operation["summary"] = said.get("summary", operation["summary"])
    examples = said.get("parameters", {})
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        if "description" not in parameter:
            parameter["description"] = parameter["schema"].pop("description", None) or descriptions.get(name, "")
        given = examples.get(name)
        if isinstance(given, list):
            parameter["examples"] = {value: {"value": value} for value in given}
        elif given is not None:
            parameter["example"] = given
    if "body" in said:
        operation["requestBody"]["content"]["application/json"]["example"] = said["body"]


def _show_answer(operation: Json, data: Any) -> None:
    """The example of the answer to a call's example."""
    done = next(one for status, one in operation["responses"].items() if status.startswith("2"))
    done["content"]["application/json"]["example"] = {"success": True, "data": data, "meta": META}


def _link(operations: Json, link: Json) -> None:
    links = operations[link["call"]]["responses"][link["status"]].setdefault("links", {})
    for name in link["to"]:
        links[name] = {"operationId": name, "parameters": {link["parameter"]: link["answer"]}}


def _describe_fields(schemas: Json, said: Json) -> None:
    for kind, schema in schemas.items():
        for part in [schema, *schema.get("oneOf", [])]:
            for name, field in part.get("properties", {}).items():
                field.setdefault("description", said.get(f"{kind}.{name}", said.get(name, "")))
                _say_default(field)


def _say_default(field: Json) -> None:
    """Say in words, and as ``x-default``, what holds where a field is left out.

    Generators of types take a field with a ``default`` for one that is always there, in bodies and answers alike.
    """
    default = field.pop("default", None)
    if default is not None:
        field[DEFAULT] = default
    if default not in (None, [], {}):
        field["description"] = f"{field['description']} Left out: {json.dumps(default)}."


def _failures(said: Json) -> Json:
    """The shared responses, with an example for each code."""
    examples = {
        code: {"summary": f"{one['status']}: {one['summary']}", "value": _failed(code, one)}
        for code, one in said.items()
    }
    shown = {"schema": {"$ref": "#/components/schemas/Failure"}, "examples": examples}
    return {
        FAILURE: {
            "description": "The call failed: a code for programs, a sentence for people.",
            "content": {"application/json": shown},
        },
        FAILURE_OR_PAGE: {
            "description": "The call failed; a browser is shown a page that says so.",
            "content": {"application/json": shown, "text/html": {}},
        },
    }


def _failed(code: str, said: Json) -> Json:
    return {
        "success": False,
        "error": {"code": code, "message": said["message"], "details": said["details"]},
        "meta": META,
    }
