"""The client is what the OpenAPI document says: each call, parameter, field, type and word; read here anew, by hand."""

import datetime
import inspect
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from msgspec import Meta, UnsetType

import mastery_client
from mastery_client import MasteryClient, calls
from mastery_client.call import Call
from mastery_client.client import AsyncMasteryClient
from mastery_client.frames import words_of
from scripts.client import files as script
from scripts.client.operations import event_names
from tests.support.calls import Json, document

CALLS = {call.name: call for call in vars(calls).values() if isinstance(call, Call)}
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
}
PLAIN: dict[tuple[str, str], Any] = {
    ("string", ""): str,
    ("string", "date"): datetime.date,
    ("string", "date-time"): datetime.datetime,
    ("integer", ""): int,
    ("number", ""): float,
    ("boolean", ""): bool,
}
NO_FIELDS = {  # bodies in another platform's words, or none that the document describes
    "import_roster": {"archive"},
    "send_caliper": {"envelope"},
    "send_canvas": {"message"},
    "dapr_event": {"delivery"},
}
NOT_ASKED = {("history", "format")}  # the client reads JSON alone
OURS = {"self", "idempotency_key"}
EACH = pytest.mark.parametrize("name", OPERATIONS)


def python_name(name: str) -> str:
    return {"from": "from_"}.get(name, name)


def schema_of(name: str) -> Json:
    found: Json = document()["components"]["schemas"][name]
    return found


def parts(kind: Any) -> tuple[Any, ...]:
    """What a union is made of."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def faults(schema: Json, kind: Any, place: str, seen: set[Any]) -> Iterator[str]:
    """Where a type is not what a schema says; the structs within are looked at once."""
    allowed = schema.get("anyOf", [schema])
    if {} in [{key: value for key, value in one.items() if key != "description"} for one in allowed]:
        return  # anything will do
    kinds = [one for one in parts(kind) if one not in (types.NoneType, UnsetType)]
    null = any(one.get("type") == "null" for one in allowed)
    if null and types.NoneType not in parts(kind):
        yield f"{place} may be null, and is {kind}"
    allowed = [one for one in allowed if one.get("type") != "null"]
    words = {word for one in allowed for word in one.get("enum", ())}
    if words:
        known = {word for one in kinds for meta in one.__metadata__ for word in words_of(meta)}
        if known != words:
            yield f"{place} may be {words}, and is {known}"
        return
    for one in allowed:
        yield from part_faults(one, kind, kinds, place, seen)


def part_faults(one: Json, kind: Any, kinds: list[Any], place: str, seen: set[Any]) -> Iterator[str]:
    """Where none of the types is what a part of a schema says."""
    reference = one.get("$ref", "").rpartition("/")[2]
    if reference:
        name = "LearningEvent" if reference == "Envelope" else reference
        structs = [each for each in kinds if isinstance(each, type) and each.__name__ == name]
        if not structs:
            yield f"{place} is no {reference}: {kind}"
        elif reference != "Envelope":
            yield from struct_faults(structs[0], seen)
    elif one.get("type") == "array":
        lists = [each for each in kinds if get_origin(each) in (list, Sequence)]
        if not lists:
            yield f"{place} is no list: {kind}"
        else:
            yield from faults(one["items"], get_args(lists[0])[0], f"{place}[]", seen)
    elif one.get("type") == "object":
        if not [each for each in kinds if get_origin(each) in (dict, Mapping)]:
            yield f"{place} is no object: {kind}"
    elif PLAIN[one["type"], one.get("format", "")] not in kinds:
        yield f"{place} is no {one['type']} {one.get('format', '')}: {kind}"


def struct_faults(struct: Any, seen: set[Any]) -> Iterator[str]:
    """Where a struct differs from the schema of its name."""
    if struct in seen:
        return
    seen.add(struct)
    schema, hints = schema_of(struct.__name__), get_type_hints(struct, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    known = schema.get("properties", {}).keys() - ({"format"} if struct.__name__ == "HistoryRange" else set())
    if fields.keys() != known:
        yield f"{struct.__name__} has {fields.keys() ^ known} too much, or not"
        return
    for name, field in fields.items():
        required = name in schema.get("required", ())
        if required != field.required:
            yield f"{struct.__name__}.{name} is {'' if required else 'not '}required"
        yield from faults(schema["properties"][name], hints[field.name], f"{struct.__name__}.{name}", seen)


def test_each_call_of_the_document_is_a_method_of_its_name() -> None:
    assert CALLS.keys() == OPERATIONS.keys()
    for client in (MasteryClient, AsyncMasteryClient):
        assert [name for name in OPERATIONS if not callable(getattr(client, name, None))] == []


@EACH
def test_a_call_goes_where_the_document_says(name: str) -> None:
    method, path, operation = OPERATIONS[name]
    call = CALLS[name]
    assert (call.method, call.path) == (method, path)
    headers = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "header"}
    assert call.keyed == ("Idempotency-Key" in headers)
    assert headers <= {"Idempotency-Key"}
    assert call.content_type in operation.get("requestBody", {}).get("content", {call.content_type: {}})


@EACH
def test_a_method_takes_what_the_document_says(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    taken = {one["name"]: one for one in operation.get("parameters", ()) if one["in"] != "header"}
    wanted = {one for one, said in taken.items() if said.get("required")}
    schemas = {one: said["schema"] for one, said in taken.items()}
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if name not in NO_FIELDS and body:
        said = schema_of(body["$ref"].rpartition("/")[2])
        variant = said["oneOf"][0] if "oneOf" in said else said
        schemas |= variant["properties"]
        wanted |= set(variant.get("required", ()))
    wanted |= NO_FIELDS.get(name, set())
    method = getattr(MasteryClient, name)
    parameters = {one: said for one, said in inspect.signature(method).parameters.items() if one not in OURS}
    schemas = {python_name(one): said for one, said in schemas.items() if (name, one) not in NOT_ASKED}
    assert parameters.keys() == schemas.keys() | NO_FIELDS.get(name, set())
    required = {one for one, said in parameters.items() if said.default is inspect.Parameter.empty}
    assert required == {python_name(one) for one in wanted}
    hints = get_type_hints(method, include_extras=True)
    optional = {one: kind for one, kind in hints.items() if one in schemas and one not in ("event_type", "data")}
    found = [fault for one, kind in optional.items() for fault in faults(schemas[one], kind, f"{name}({one})", set())]
    assert found == []
    for one, said in parameters.items():
        default = schemas.get(one, {}).get("x-default")
        if isinstance(default, bool | int | float | str):
            assert said.default == default, one


@EACH
def test_a_method_answers_what_the_document_says(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    call = CALLS[name]
    found: list[str] = []
    for status, said in operation["responses"].items():
        schema = said.get("content", {}).get("application/json", {}).get("schema", {})
        data = schema.get("properties", {}).get("data", schema)
        if status.startswith("2") and call.reads:
            assert call.bare == ("data" not in schema.get("properties", {}))
            if len(data.get("anyOf", ())) < 2:
                found += faults(data, call.reads[int(status)], name, set())
        elif status.startswith("2"):
            assert call.accept in said["content"]
    assert found == []


def test_each_kind_of_event_is_typed() -> None:
    known = {name: getattr(mastery_client.events, name, None) for name in event_names()}
    known["ComponentValues"] = mastery_client.answers.ComponentValues
    faulty = [fault for kind in known.values() for fault in struct_faults(kind, set())]
    assert faulty == []
    event = get_type_hints(mastery_client.LearningEvent, include_extras=True)
    types_there = {word for one in schema_of("Envelope")["oneOf"] for word in one["properties"]["event_type"]["enum"]}
    assert {word for meta in event["event_type"].__metadata__ for word in words_of(meta)} == types_there
    assert event.keys() == schema_of("Envelope")["oneOf"][0]["properties"].keys()


def test_a_field_that_the_client_lacks_is_seen() -> None:
    """The readings above can fail."""

    class Health(msgspec.Struct):
        status: Annotated[str, Meta(extra_json_schema={"enum": ["healthy", "ill"]})] = "healthy"

    class ServiceInfo(msgspec.Struct):
        name: str | None
        version: int
        environment: str = ""

    assert len(list(struct_faults(Health, set()))) == 1
    assert len(list(struct_faults(ServiceInfo, set()))) == 2
    assert list(faults({"type": "string", "format": "date"}, str, "place", set())) == [
        "place is no string date: <class 'str'>"
    ]


def test_what_follows_from_the_document_is_up_to_date() -> None:
    stale = [name for name, text in script.files().items() if (script.PACKAGE / name).read_text() != text]
    assert stale == [], "make contracts writes them anew"


def public(owner: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each public class, function and method of a module or class."""
    for name, value in vars(owner).items():
        if name.startswith("_") or getattr(value, "__module__", "").partition(".")[0] != "mastery_client":
            continue
        if isinstance(value, type) or inspect.isfunction(value) or isinstance(value, property):
            yield f"{path}.{name}", value
        if isinstance(value, type):
            yield from public(value, f"{path}.{name}")


def test_no_public_name_is_without_its_words() -> None:
    modules = {path.stem for path in script.PACKAGE.glob("*.py")} - {"__init__"}
    named = [one for name in modules for one in public(__import__(f"mastery_client.{name}", fromlist=["x"]), name)]
    assert len(named) > 300
    assert sorted({path for path, value in named if not (value.__doc__ or "").strip()}) == []
