"""Reading a CASE framework: the items and associations of a ``CFPackage``, in both spellings that are in use.

CASE 1.0 and 1.1 name the parts ``CFDocument``, ``CFItems`` and ``CFAssociations`` and their ids ``identifier``; some
servers of 1.1 name them ``document``, ``items``, ``associations`` and ``sourcedId``. What is malformed is listed, and
the rest is read.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from mastery_engine.errors import InvalidInput

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MOST_NODES = 100_000  # items, and associations

Fields: TypeAlias = Mapping[str, Any]


class Unused(msgspec.Struct, frozen=True):
    """A part of a framework that the curriculum does not hold: what it is, its identifier, and why."""

    what: str
    identifier: str
    reason: str


class Item(msgspec.Struct, frozen=True):
    """A ``CFItem``: a standard, or a group of them. ``order`` is its place among its kind in the file."""

    identifier: str
    statement: str
    code: str
    short: str
    listed: str
    uri: str
    order: int


class Association(msgspec.Struct, frozen=True):
    """A ``CFAssociation`` between two nodes, which may belong to other frameworks."""

    identifier: str
    kind: str
    origin: str
    destination: str
    destination_uri: str
    sequence: int | None


class Framework(msgspec.Struct, frozen=True):
    """A package as read; ``unused`` are the parts that are malformed."""

    identifier: str
    title: str
    items: dict[str, Item]
    associations: tuple[Association, ...]
    unused: tuple[Unused, ...]


def framework_from(source: bytes) -> Framework:
    """The framework in a file. Raises InvalidInput where it is no ``CFPackage``, or has no item that can be read."""
    try:
        package = msgspec.json.decode(source.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput("The framework is not JSON: export it as a CFPackage of CASE 1.0 or 1.1.") from error
    document = _part(package, "CFDocument", "document")
    if not isinstance(document, dict):
        raise InvalidInput("The file is no CFPackage of CASE 1.0 or 1.1: it lacks its CFDocument.", field="CFDocument")
    unused: list[Unused] = []
    items: dict[str, Item] = {}
    for place, fields in _nodes(package, "CFItems", "items", unused):
        name = _identifier(fields)
        if not name or not _text(fields, "fullStatement"):
            missing = "identifier" if not name else "fullStatement"
            unused.append(Unused("item", name or f"item {place + 1} of the file", f"It has no {missing}."))
        elif name in items:
            unused.append(Unused("item", name, "Another item before it has the same identifier."))
        else:
            items[name] = Item(
                name,
                _text(fields, "fullStatement"),
                _text(fields, "humanCodingScheme"),
                _text(fields, "abbreviatedStatement"),
                _text(fields, "listEnumeration") or _text(fields, "listEnumInSource"),
                _text(fields, "uri"),
                place,
            )
    if not items:
        raise InvalidInput(
            "The framework has no items that can be read: there is nothing to learn in it.", field="CFItems"
        )
    associations = tuple(_associations(package, unused))
    unused += [
        Unused("rubric", _identifier(one), "Rubrics are not used.")
        for _, one in _nodes(package, "CFRubrics", "rubrics", [])
    ]
    return Framework(_identifier(document), _text(document, "title"), items, associations, tuple(unused))


def _associations(package: Fields, unused: list[Unused]) -> Iterator[Association]:
    for place, fields in _nodes(package, "CFAssociations", "associations", unused):
        name = _identifier(fields) or f"association {place + 1} of the file"
        origin, destination = _end(fields, "originNodeURI"), _end(fields, "destinationNodeURI")
        kind, sequence = _text(fields, "associationType"), fields.get("sequenceNumber")
        ends = _identifier(origin), _identifier(destination)
        if kind and all(ends):
            number = sequence if isinstance(sequence, int) else None
            yield Association(name, kind, ends[0], ends[1], _text(destination, "uri"), number)
        else:
            missing = "an associationType" if not kind else "the identifiers of both ends"
            unused.append(Unused("association", name, f"It lacks {missing}."))


def _end(fields: Fields, name: str) -> Fields:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _nodes(package: Fields, name: str, other: str, unused: list[Unused]) -> Iterator[tuple[int, Fields]]:
    nodes = _part(package, name, other)
    if nodes is None:
        return
    if not isinstance(nodes, list) or len(nodes) > MOST_NODES:
        raise InvalidInput(f"{name} must be a list of at most {MOST_NODES}.", field=name)
    for place, fields in enumerate(nodes):
        if isinstance(fields, dict):
            yield place, fields
        else:
            unused.append(Unused(name, f"entry {place + 1}", "It is not an object."))


def _part(package: object, name: str, other: str) -> Any:
    if not isinstance(package, dict):
        return None
    return package[name] if name in package else package.get(other)


def _identifier(fields: Fields) -> str:
    return _text(fields, "identifier") or _text(fields, "sourcedId")


def _text(fields: Fields, name: str) -> str:
    """A field's text on one line; empty where there is none."""
    value = fields.get(name)
    if not isinstance(value, str):
        return ""
    return " ".join("".join([one if one.isprintable() else " " for one in value]).split())
