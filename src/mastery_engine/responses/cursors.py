"""Cursors: places in a list, as opaque texts."""

import base64
from typing import TypeVar

import msgspec

from mastery_engine.errors import InvalidInput

T = TypeVar("T")


def make_cursor(place: object) -> str:
    """The cursor for a place in a list."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).rstrip(b"=").decode()


def read_cursor(cursor: str | None, kind: type[T]) -> T | None:
    """The place that a cursor stands for; None without a cursor. Raises InvalidInput if it is not a cursor."""
    if cursor is None:
        return None
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidInput(
            "cursor must be one that this call has given: leave it out to start again.", field="cursor"
        ) from error
