"""Schemas as types of Python, as they are written: annotations, structs and closed lists of words."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from textwrap import indent, wrap

from scripts.client.document import (
    EVENT,
    FORMATS,
    LEFT_OUT,
    NULL_SAYS,
    PAGED,
    PLAIN,
    ROWS,
    WORDS,
    Schema,
    document,
    name_of,
    references,
    schemas,
)


def words_of(schema: Schema) -> tuple[str, ...]:
    """The words of a closed list, which may stand in parts."""
    if "enum" in schema:
        return tuple(sorted(schema["enum"]))
    parts = [words_of(part) for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    return tuple(sorted({word for part in parts for word in part})) if parts and all(parts) else ()


@cache
def named_words() -> dict[tuple[str, ...], str]:
    """All closed lists, with their names."""
    named = dict(WORDS)
    for name, schema in schemas().items():
        for field, inner in schema.get("properties", {}).items():
            if (name, field) not in LEFT_OUT:
                named |= {words: name + camel(field) for words in lists_in(inner) if words not in named}
    for call, parameter in parameters():
        place = camel(call) + camel(parameter["name"])
        named |= {words: place for words in lists_in(parameter["schema"]) if words not in named}
    named.setdefault(event_types(), "EventType")
    return named


def lists_in(schema: Schema) -> Iterator[tuple[str, ...]]:
    """The closed lists in a schema, but for those in schemas that it refers to."""
    words = words_of(schema)
    if words:
        yield words
        return
    for part in [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])]:
        yield from lists_in(part)


def parameters() -> Iterator[tuple[str, Schema]]:
    """The parameters of all calls that the client has, each with the name of its call."""
    for operations in document()["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if (operation["operationId"], parameter["name"]) not in LEFT_OUT:
                    yield operation["operationId"], parameter


def event_types() -> tuple[str, ...]:
    """All names of the kinds of events."""
    variants = schemas()[EVENT]["oneOf"]
    return tuple(sorted(word for one in variants for word in one["properties"]["event_type"]["enum"]))


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def annotation(schema: Schema, *, sent: bool = False) -> str:
    """The type of a schema, as it is written. What is sent may be given as any sequence or mapping."""
    name = name_of(schema)
    if name is not None:
        shown = "LearningEvent" if name == EVENT else name
        return f"{shown} | Mapping[str, Any]" if sent else shown
    words = words_of(schema)
    if words:
        return f"{named_words()[words]}{' | None' if is_nullable(schema) else ''}"
    if "anyOf" in schema:
        kinds = list(dict.fromkeys(annotation(part, sent=sent) for part in schema["anyOf"]))
        if "Any" in kinds:  # rows that are each checked on their own
            return kinds[0] if sent else "Any"
        return " | ".join(kinds)
    kind = schema.get("type")
    if kind == "null":
        return "None"
    if kind == "array":
        return f"{'Sequence' if sent else 'list'}[{annotation(schema['items'], sent=sent)}]"
    if kind == "object":
        held = schema.get("additionalProperties")
        inner = annotation(held, sent=sent) if isinstance(held, dict) else "Any"
        return f"{'Mapping' if sent else 'dict'}[str, {inner}]"
    return FORMATS.get(schema.get("format", "")) or PLAIN.get(kind or "", "Any")


def python_name(name: str) -> str:
    """A field's name in Python."""
    snake = re.sub(r"(?<=[a-z])[A-Z]", lambda found: f"_{found[0].lower()}", name)
    return f"{snake}_" if snake in ("from", "import", "class") else snake


def is_nullable(schema: Schema) -> bool:
    return any(part.get("type") == "null" for part in schema.get("anyOf", ()))


def optional(kind: str) -> str:
    return kind if "None" in kind.split(" | ") else f"{kind} | None"


def or_unset(kind: str) -> str:
    return f"{kind.removesuffix(' | None')} | UnsetType | None"


def field(owner: str, name: str, schema: Schema, *, required: bool, sent: bool) -> str:
    """A field of a struct."""
    kind = annotation(schema, sent=sent)
    if required:
        return f"{python_name(name)}: {kind}"
    if (owner, name) in NULL_SAYS:
        return f"{python_name(name)}: {or_unset(kind)} = UNSET"
    if sent or "default" not in schema:
        return f"{python_name(name)}: {optional(kind)} = None"
    default = schema["default"]
    made = {"[]": "msgspec.field(default_factory=list)", "{}": "msgspec.field(default_factory=dict)"}
    return f"{python_name(name)}: {kind} = {made.get(repr(default), repr(default))}"


def docstring(text: str, *, depth: int = 1) -> str:
    """A text as a docstring, wrapped."""
    parts = re.split(r"\n\s*\n", text.strip())
    first = " ".join(parts[0].split())
    width = 120 - 4 * depth
    lines = wrap(first, width - 6)
    fits = len(lines) == 1 and len(parts) == 1
    if len(lines) > 1:  # a first line that says it, and the rest below
        sentence, _, rest = first.partition(". ")
        lines = [f"{sentence}.", "", *wrap(rest, width)] if rest else lines
    for part in parts[1:]:
        lines += ["", *wrap(" ".join(part.split()), width)]
    body = lines[0] if fits else "\n".join(lines) + "\n"
    return indent(f'"""{body}"""', "    " * depth)


def struct(name: str, *, base: str, sent: bool) -> str:
    """A schema as a struct."""
    schema = schemas()[name]
    required = set(schema.get("required", ()))
    properties = [one for one in schema.get("properties", {}).items() if (name, one[0]) not in LEFT_OUT]
    properties.sort(key=lambda one: one[0] not in required)
    renamed = {python_name(one): one for one, _ in properties if python_name(one) != one}
    options = [base, "frozen=True"]
    if base != "msgspec.Struct":
        options.append("kw_only=True")
    if sent:
        options.append("omit_defaults=True")
    if renamed:
        options.append(f"rename={renamed!r}")
    lines = [f"class {name}({', '.join(options)}):", docstring(schema.get("description") or WORDLESS[name]), ""]
    lines += [f"    {field(name, one, inner, required=one in required, sent=sent)}" for one, inner in properties]
    if name in ROWS:
        lines += ["", f'    _rows = "{ROWS[name]}"', f"    _row = {row_of(name)}"]
    return "\n".join(lines)


WORDLESS: dict[str, str] = {}  # schemas without a description of their own


def row_of(name: str) -> str:
    """The type of an answer's rows."""
    kind = annotation(schemas()[name]["properties"][PAGED[name]])
    found = re.match(r"list\[(\w+)\]", kind)
    assert found, f"{name}.{PAGED[name]} is {kind}, and no list"
    return found[1]


def ordered(names: Iterable[str]) -> list[str]:
    """Schemas after those that they are made of."""
    names = set(names)
    placed: list[str] = []

    def place(name: str) -> None:
        if name in names and name not in placed:
            for inner in references(schemas()[name]):
                place(inner)
            placed.append(name)

    for name in sorted(names):
        place(name)
    return placed
