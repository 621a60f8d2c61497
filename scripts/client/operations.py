"""Calls of the document: what their methods take and answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from scripts.client.document import (
    EVENT,
    LEFT_OUT,
    NULL_SAYS,
    OTHER_BODIES,
    PAGED,
    PROBES,
    SAYS,
    Schema,
    closure,
    document,
    name_of,
    schemas,
)
from scripts.client.types import annotation, optional, or_unset, python_name


@dataclass(frozen=True)
class Operation:
    """A call of the document."""

    name: str
    method: str
    path: str
    spec: Schema

    def parameters(self, place: str) -> list[Schema]:
        return [one for one in self.spec.get("parameters", ()) if one["in"] == place]

    @property
    def query(self) -> list[Schema]:
        return [one for one in self.parameters("query") if (self.name, one["name"]) not in LEFT_OUT]

    @property
    def keyed(self) -> bool:
        return any(one["name"] == "Idempotency-Key" for one in self.parameters("header"))

    @property
    def body(self) -> str | None:
        """The name of the schema of the body."""
        if self.name in OTHER_BODIES:
            return None
        content = self.spec.get("requestBody", {}).get("content", {})
        return name_of(content["application/json"]["schema"]) if content else None

    @property
    def answers(self) -> dict[int, Schema]:
        """The schemas of what is answered, by status, without the envelope."""
        found = {}
        for status, said in self.spec["responses"].items():
            schema = said.get("content", {}).get("application/json", {}).get("schema")
            if status.startswith("2") and schema and self.accept == "application/json":
                found[int(status)] = schema.get("properties", {}).get("data", schema)
        return found

    @property
    def bare(self) -> bool:
        """Whether the answer is JSON without the envelope."""
        content = self.spec["responses"]["200" if "200" in self.spec["responses"] else "202"].get("content", {})
        return "data" not in content.get("application/json", {}).get("schema", {}).get("properties", {})

    @property
    def accept(self) -> str:
        """The media type that the client asks for: JSON where there is any."""
        content = next(said for status, said in self.spec["responses"].items() if status[0] == "2").get("content", {})
        if content.get("application/json", {}).get("schema"):
            return "application/json"
        return next((kind for kind in content if kind != "application/json"), "application/json")

    @property
    def returns(self) -> str:
        """The type of what is answered."""
        if self.accept != "application/json":
            return "bytes" if self.accept == "image/png" else "str"
        kinds = list(dict.fromkeys(reading(schema) for schema in self.answers.values()))
        return " | ".join(kinds)

    @property
    def row(self) -> str | None:
        """The type of the rows of a list."""
        schema, *_ = self.answers.values() or ({},)
        return name_of(schema["items"]) if schema.get("type") == "array" else None

    @property
    def repeats(self) -> bool:
        """Whether it is harmless that it takes effect again: it reads alone. What changes something needs a key."""
        reads = self.method == "GET" or (self.method == "POST" and self.body is not None and not self.keyed)
        return reads and self.name not in PROBES

    @property
    def pages(self) -> str | None:
        """The name of the answer, if it comes in pages."""
        return self.returns if any(one == "cursor" for one, *_ in self.arguments()) and self.returns in PAGED else None

    def arguments(self) -> list[tuple[str, str, str | None]]:
        """The parameters of the method: name, type and default; those without a default come first."""
        found: list[tuple[str, str, str | None]] = [
            (python_name(one["name"]), annotation(one["schema"]), None) for one in self.parameters("path")
        ]
        if self.name in OTHER_BODIES:
            found.append((*OTHER_BODIES[self.name], None))
        if self.body is not None:
            found += self._fields(self.body)
        for one in self.query:
            kind, schema = annotation(one["schema"]), one["schema"]
            if one.get("required"):
                found.append((python_name(one["name"]), kind, None))
            else:
                default = repr(schema["default"]) if "default" in schema else "None"
                found.append((python_name(one["name"]), kind if default != "None" else optional(kind), default))
        if self.keyed:
            found.append(("idempotency_key", "str | None", "None"))
        return sorted(found, key=lambda one: one[2] is not None)

    def _fields(self, body: str) -> Iterator[tuple[str, str, str | None]]:
        if body == EVENT:
            yield from EVENT_FIELDS
            return
        schema = schemas()[body]
        for name, inner in schema["properties"].items():
            if (self.name, name) in LEFT_OUT:
                continue
            kind = annotation(inner, sent=True)
            if name in schema.get("required", ()):
                yield python_name(name), kind, None
            elif (body, name) in NULL_SAYS:
                yield python_name(name), or_unset(kind), "UNSET"
            elif isinstance(inner.get("default"), bool | int | float | str):
                yield python_name(name), kind, repr(inner["default"])
            else:
                yield python_name(name), optional(kind), "None"

    @property
    def doc(self) -> str:
        """What it does, in the document's words."""
        text: str = SAYS.get(self.name) or self.spec.get("description") or self.spec["summary"]
        summary: str = self.spec["summary"]
        return (
            f"{summary}\n\n{text}"
            if summary.endswith(".") and self.name not in SAYS and not text.startswith(summary[:-1])
            else text
        )


EVENT_FIELDS: list[tuple[str, str, str | None]] = [
    ("event_type", "EventType", None),
    ("student_id", "str", None),
    ("data", "EventData | Mapping[str, Any]", None),
    ("event_id", "str | None", "None"),
    ("timestamp", "datetime.datetime | int | None", "None"),
    ("source", "str | None", "None"),
    ("metadata", "Mapping[str, str | int | float | bool | None] | None", "None"),
    ("course_id", "str | None", "None"),
]


def reading(schema: Schema) -> str:
    """The type as which an answer is read; where it may be one of many, it is plain JSON."""
    if "anyOf" in schema:
        return "Any"
    kind = annotation(schema)
    return kind.replace("list[", "RowList[", 1) if schema.get("type") == "array" else kind


@cache
def calls() -> list[Operation]:
    """All calls, in the document's order."""
    return [
        Operation(spec["operationId"], method.upper(), path, spec)
        for path, operations in document()["paths"].items()
        for method, spec in operations.items()
    ]


def answer_names() -> tuple[set[str], set[str]]:
    """The schemas that are answers of calls, and all that answers are made of."""
    whole = {
        name
        for call in calls()
        for schema in call.answers.values()
        if "anyOf" not in schema
        for name in [name_of(schema)]
        if name is not None
    }
    rows = {call.row for call in calls() if call.row is not None}
    return whole, closure(whole | rows)


def event_names() -> list[str]:
    """The schemas of the data of events."""
    return [name_of(one["properties"]["data"]) or "" for one in schemas()[EVENT]["oneOf"]]


def request_names() -> set[str]:
    bodies = {call.body for call in calls() if call.body is not None}
    return closure(bodies) - answer_names()[1] - set(event_names()) - {EVENT}
