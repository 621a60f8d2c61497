"""Derived ids: the same cause always gives the same id."""

import json
from codecs import BOM_UTF8
from hashlib import blake2b
from typing import Any

import msgspec

ID_BYTES, SEEN_BYTES = 8, 6
_UUID_LENGTH, _UUID_BYTES = 36, 16
_TEXT = b"="  # begins a text that might be taken for the bytes of a UUID

_written = msgspec.json.Encoder().encode  # as JSON, different lists of texts never give the same bytes


def id_hash(event_id: str) -> bytes:
    """The hash of an id, 8 bytes."""
    return blake2b(event_id.encode(), digest_size=ID_BYTES).digest()


def seen_hash(event_id: str) -> bytes:
    """The hash by which a document knows the id of an event: the first 6 bytes of ``id_hash``.

    A new event is taken for one of n others with probability n / 2^48: see decision 102.
    """
    return blake2b(event_id.encode(), digest_size=ID_BYTES).digest()[:SEEN_BYTES]


def short_id(event_id: str) -> bytes:
    """An id as documents hold it: a UUID in its usual form as its 16 bytes, all others as their text."""
    if len(event_id) == _UUID_LENGTH and event_id[8] == "-":
        try:
            packed = bytes.fromhex(event_id.replace("-", ""))
        except ValueError:
            packed = b""
        if len(packed) == _UUID_BYTES and whole_id(packed) == event_id:
            return packed
    text = event_id.encode()
    return _TEXT + text if len(text) == _UUID_BYTES or text.startswith(_TEXT) else text


def whole_id(held: bytes) -> str:
    """The id that ``short_id`` made short."""
    if len(held) == _UUID_BYTES:
        text = held.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return held.removeprefix(_TEXT).decode()


def value_hash(document: bytes) -> str:
    """The hash of a JSON value: the same for any order of its names, any blanks, and any way to write its numbers.

    1, 1.0 and 1e0 are the same number. Of what is no JSON it is the hash of the bytes.
    """
    document = document.removeprefix(BOM_UTF8)
    try:
        written = json.dumps(_plain(msgspec.json.decode(document)), sort_keys=True).encode()
    except (ValueError, RecursionError):  # as msgspec's and Unicode's errors are
        written = document
    return blake2b(written, digest_size=32).hexdigest()


def _plain(value: Any) -> Any:
    """The value with every whole number as an integer."""
    match value:
        case float():
            return int(value) if value.is_integer() else value
        case dict():
            return {name: _plain(part) for name, part in value.items()}
        case list():
            return [_plain(part) for part in value]
    return value


def derived_id(*parts: str) -> str:
    """A UUID (version 8, RFC 9562) made from the parts alone; different lists of parts give different ids."""
    text = blake2b(_written(parts), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-a{text[17:20]}-{text[20:]}"
