"""The canonical form of a JSON-LD document: its statements, sorted and named alike by everybody (RDFC-1.0).

RDFC-1.0 is what the W3C made of URDNA2015. A signature covers statements and not bytes: what a document says in words
that its contexts lack is in no statement, so that anybody could change it. Such a document has no canonical form here.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from cachetools import LRUCache

from mastery_engine.errors import InvalidInput
from mastery_engine.out.badges.contexts import context

Document: TypeAlias = Mapping[str, Any]
ContextNamed: TypeAlias = Callable[[str], Mapping[str, Any]]

CONTEXT = "@context"
MOST_CONTEXTS = 8
MOST_VALUES, DEEPEST = 5_000, 30  # of a document: the time grows with them
MOST_ALIKE = 5  # nodes without an id that differ in nothing: to tell them apart may take time without end
NOWHERE = "https://relative.invalid/"  # what an address that is none would be relative to


class NotCanonical(InvalidInput):
    """The document is no JSON-LD, or says something that no signature of it covers."""


def canonical(document: Document, named: ContextNamed = context) -> str:
    """The document as N-Quads in their canonical order.

    ``named`` gives the document at a context's address. Raises NotCanonical, and UnknownContext where it gives none.
    """
    from pyld.jsonld import JsonLdError, expand, normalize

    check_form(document)
    dropped: list[str] = []
    options = _options(named)
    try:
        expanded = expand(_mutable(document), options, on_property_dropped=lambda name: dropped.append(str(name)))
        written: str = normalize(
            expanded,
            {**options, "algorithm": "URDNA2015", "format": "application/n-quads"},
        )
    except JsonLdError as error:
        raise _refused(error) from error
    if dropped:
        raise NotCanonical(f"It has a word that its contexts lack: {dropped[0][:100]!r}.")
    if f"<{NOWHERE}" in written:
        unknown = written.partition(f"<{NOWHERE}")[2].partition(">")[0]
        raise NotCanonical(f"It has a type or an address that its contexts lack: {unknown[:100]!r}.")
    return written


def check_form(document: Document) -> None:
    """Raises NotCanonical where a document does not use the plain words of its contexts, or is no badge by its size."""
    if not _contexts(document.get(CONTEXT)):
        raise NotCanonical("@context must be a list of the addresses of contexts.", field=CONTEXT)
    for values, (value, depth) in enumerate(_parts(document)):
        if values > MOST_VALUES or depth > DEEPEST:
            raise NotCanonical("It is larger or deeper than any badge.")
        if isinstance(value, dict):
            _check_words(value)
    nodes = [value for value, _ in _parts(document) if isinstance(value, dict) and "id" not in value]
    if any(number > MOST_ALIKE for number in Counter(json.dumps(_folded(node)) for node in nodes).values()):
        raise NotCanonical("It says the same too often.")


def _check_words(node: Mapping[str, Any]) -> None:
    for word, part in node.items():
        if word == CONTEXT and not _contexts(part):
            raise NotCanonical("@context must be a list of the addresses of contexts.", field=CONTEXT)
        if word != CONTEXT and (word.startswith("@") or ":" in word):
            raise NotCanonical(f"It must use the words of its contexts, and not {word[:100]!r}.")
        if word == "id" and str(part).startswith("_:"):
            raise NotCanonical("An id must be an address.", field="id")


def _contexts(given: Any) -> bool:
    """Whether this is a list of contexts' addresses."""
    contexts = [given] if isinstance(given, str) else given
    return (
        isinstance(contexts, list) and 1 <= len(contexts) <= MOST_CONTEXTS and all(type(one) is str for one in contexts)
    )


def _parts(document: Document) -> Iterator[tuple[Any, int]]:
    todo: list[tuple[Any, int]] = [(document, 0)]
    while todo:
        value, depth = todo.pop()
        yield value, depth
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        todo += [(part, depth + 1) for part in inner]


def _folded(value: Any) -> Any:
    """The value in one of the ways in which it can be written: lists are sets, and of one value that value."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case list():
            parts = {json.dumps(part): part for part in map(_folded, value) if part is not None}
            return sorted(parts) if len(parts) != 1 else next(iter(parts.values()))
        case dict():
            folded = {name: _folded(value[name]) for name in sorted(value) if name != CONTEXT}
            return {name: part for name, part in folded.items() if part not in (None, [])}
    return value


def _options(named: ContextNamed) -> dict[str, Any]:
    """PyLD's options: contexts from us alone, and a cache of this call's own, since PyLD's is everybody's."""
    from pyld.context_resolver import ContextResolver

    def load(address: str, _: object) -> dict[str, Any]:
        document = _mutable(named(address))
        return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": address, "document": document}

    return {"documentLoader": load, "contextResolver": ContextResolver(LRUCache(100), load), "base": NOWHERE}


def _mutable(value: Any) -> Any:
    """A copy that a library may change."""
    if isinstance(value, Mapping):
        return {name: _mutable(part) for name, part in value.items()}
    return [_mutable(part) for part in value] if isinstance(value, list) else value


def _refused(error: Exception) -> InvalidInput:
    """The error of PyLD in our words; ours, where a context was refused, as it was."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InvalidInput):
            return cause
        cause = cause.__cause__ or cause.__context__
    return NotCanonical("It is no JSON-LD of version 1.1, or its contexts contradict each other.")
