"""Addresses by their segments: each is decoded by itself, so that an id with a slash (``edX/DemoX``) stays in one.

Servers decode a path before anybody splits it. Here a slash within a segment, and a byte that is not UTF-8, become
characters that decoding never gives (PEP 383): routes match them like any other, and ``ids_of`` reads them.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from mastery_engine.errors import InvalidInput

SLASH = "\udc2f"
_ESCAPED = re.compile("[\ud800-\udfff]")


def for_routing(scope: Scope) -> Scope:
    """The scope with its path decoded by segments; the server's own, which may log its path, stays as it is."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%" not in raw:
        return scope
    segments = (unquote_to_bytes(segment).decode("utf-8", "surrogateescape") for segment in raw.split(b"/"))
    return {**scope, "path": "/".join([segment.replace("/", SLASH) for segment in segments])}


def ids_of(path_params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters in an address. Raises InvalidInput, which names the one that is not UTF-8."""
    if not any(map(_ESCAPED.search, path_params.values())):
        return path_params
    ids = {name: value.replace(SLASH, "/") for name, value in path_params.items()}
    for name, value in ids.items():
        if _ESCAPED.search(value):
            raise _not_utf8(name)
    return ids


def check_query(query: bytes) -> None:
    """Raises InvalidInput, which names the parameter after the ? that is not UTF-8."""
    if b"%" not in query:
        return
    for parameter in query.split(b"&"):
        try:
            unquote_to_bytes(parameter).decode()
        except UnicodeDecodeError:
            raise _not_utf8(parameter.partition(b"=")[0].decode("ascii", "replace")[:100]) from None


def _not_utf8(name: str) -> InvalidInput:
    return InvalidInput(f"{name} is not UTF-8 in this address: percent-encode it as UTF-8.", field=name)
