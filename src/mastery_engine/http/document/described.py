"""Adds to the OpenAPI document what no type says: sentences, descriptions, examples, links, and how calls fail.

The words stand in the YAML files beside this module. A call, a parameter or a field without them raises a TypeError,
so that none is forgotten.
"""

from importlib import resources
from typing import Any

import yaml

from mastery_engine import __version__
from mastery_engine.http.problems import CODE

FAILURE, FAILURE_OR_PAGE = "Failure", "FailureOrPage"
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
    """Add all of it to a document. Raises TypeError for what has no words, and for words of what is not there."""
    calls, fields = _read("calls.yaml"), _read("fields.yaml")
    operations = {one["operationId"]: one for path in document["paths"].values() for one in path.values()}
    _same("calls", operations, calls["calls"])
    for name, operation in operations.items():
        _describe_call(operation, calls["calls"][name], calls["parameters"])
    for name, data in _read("answers.yaml").items():
        _show_answer(operations[name], data)
    for link in calls["links"]:
        _link(operations, link)
    _describe_fields(document["components"]["schemas"], fields)
    document["components"]["responses"] = _failures(_read("failures.yaml"))
    document["info"]["description"] = f"{document['info']['description']} {ON_THE_DEMO}"


def _read(name: str) -> Json:
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    found: Json = yaml.load(text, Loader=yaml.CSafeLoader)  # nosec B506
    return found


def _same(what: str, there: Json, described: Json) -> None:
    if there.keys() != described.keys():
        raise TypeError(f"{what}: {sorted(there.keys() ^ described.keys())} is not described, or is not there.")


def _describe_call(operation: Json, words: Json, descriptions: Json) -> None:
    operation["summary"] = words["summary"]
    examples = dict(words.get("parameters", {}))
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        if "description" not in parameter:
            parameter["description"] = parameter["schema"].pop("description", None) or descriptions[name]
        given = examples.pop(name, None)
        if isinstance(given, list):
            parameter["examples"] = {value: {"value": value} for value in given}
        elif given is not None:
            parameter["example"] = given
    if examples:
        raise TypeError(f"{operation['operationId']}: there is no parameter {', '.join(examples)}.")
    if "body" in words:
        operation["requestBody"]["content"]["application/json"]["example"] = words["body"]


def _show_answer(operation: Json, data: Any) -> None:
    """The example of the answer to a call's example."""
    done = next(one for status, one in operation["responses"].items() if status.startswith("2"))
    done["content"]["application/json"]["example"] = {"success": True, "data": data, "meta": META}


def _link(operations: Json, link: Json) -> None:
    links = operations[link["call"]]["responses"][link["status"]].setdefault("links", {})
    for name in link["to"]:
        if all(one["name"] != link["parameter"] for one in operations[name]["parameters"]):
            raise TypeError(f"{name} has no parameter {link['parameter']}.")
        links[name] = {"operationId": name, "parameters": {link["parameter"]: link["answer"]}}


def _describe_fields(schemas: Json, words: Json) -> None:
    used: set[str] = set()
    for kind, schema in schemas.items():
        for part in [schema, *schema.get("oneOf", [])]:
            for name, field in part.get("properties", {}).items():
                own = f"{kind}.{name}" if f"{kind}.{name}" in words else name
                if own in words:
                    used.add(own)
                if "description" in field:
                    continue
                if own not in words:
                    raise TypeError(f"{kind}.{name} is not described in fields.yaml.")
                field["description"] = words[own]
    if words.keys() > used:
        raise TypeError(f"fields.yaml describes what is not there: {', '.join(sorted(words.keys() - used))}.")


def _failures(words: Json) -> Json:
    """The shared responses, with an example for each code."""
    examples = {
        code: {"summary": f"{one['status']}: {one['summary']}", "value": _failed(code, one)}
        for code, one in words.items()
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


def _failed(code: str, words: Json) -> Json:
    return {
        "success": False,
        "error": {"code": code, "message": words["message"], "details": words["details"]},
        "meta": META,
    }
