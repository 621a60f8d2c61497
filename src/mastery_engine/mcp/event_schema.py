"""The schema of a learning event for agents: the same union as the doors take, in few words.

It is written out, since some clients know no references, and says what a model cannot guess: names, types and values.
Lengths and most bounds are left to the refusal, which names them.
"""

import json
from typing import Any

import msgspec

from mastery_engine.domain.events.kinds import KINDS
from mastery_engine.mcp.brief import plain

# What is left out: no model goes by it, and every session pays for it.
_LEFT_OUT = frozenset(("minLength", "maxLength", "maxItems", "additionalProperties", "default", "minimum"))
_BOUNDS_OF_COUNTS = (100_000, 86_400)


def _schemas() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    shown, parts = msgspec.json.schema_components(list(KINDS.values()), ref_template="{name}")
    return json.loads(json.dumps(shown)), json.loads(json.dumps(parts))


def _brief(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_brief(one, parts) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _brief(parts[schema["$ref"]], parts)
    if isinstance(schema.get("properties"), dict):
        fields = {name: _brief(value, parts) for name, value in schema["properties"].items()}
        required = {"required": schema["required"]} if schema.get("required") else {}
        return {"type": "object", "properties": fields, **required}
    return {
        name: _brief(value, parts)
        for name, value in schema.items()
        if name not in _LEFT_OUT and not (name == "maximum" and value in _BOUNDS_OF_COUNTS)
    }


def _event() -> dict[str, Any]:
    shown, parts = _schemas()
    kinds = [
        {"properties": {"event_type": {"const": kind}, "data": plain(_brief(schema, parts))}}
        for kind, schema in zip(KINDS, shown, strict=True)
    ]
    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "event_id": text,
            "student_id": text,
            "timestamp": {"type": "string", "format": "date-time"},
            "course_id": text,
            "metadata": {"type": "object", "properties": {"cohort_id": text}},
        },
        "required": ["event_type", "student_id", "data"],
        "oneOf": kinds,
    }


EVENT: dict[str, Any] = _event()
