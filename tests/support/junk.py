"""Documents with something else at any place in them."""

from copy import deepcopy
from typing import Any


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Each place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *[place for key, part in inner for place in places(part, (*path, key))]]


def changed(document: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """The document with something else at a place."""
    if not path:
        return junk
    copy = deepcopy(document)
    within = copy
    for key in path[:-1]:
        within = within[key]
    within[path[-1]] = junk
    return copy
