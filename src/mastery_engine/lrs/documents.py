"""Documents of State and of profiles: merging them, and telling their versions apart (xAPI 1.0.3 Communication 2.2)."""

from hashlib import sha256
from typing import Any

import msgspec

from mastery_engine.lrs.broken import RuleBroken

JSON = "application/json"


def is_json(content_type: str) -> bool:
    """Whether a content type is that of JSON."""
    return content_type.partition(";")[0].strip().lower() == JSON


def etag_of(content: bytes) -> str:
    """The version of a document: a hash of its content, without quotes."""
    return sha256(content).hexdigest()[:40]


def document_is_object(content: bytes, which: str) -> dict[str, Any]:
    """The JSON object that a document is. Raises RuleBroken."""
    try:
        value = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RuleBroken("document_is_object", which, "must be a JSON object, since documents of JSON are merged")
    return value


def merged(older: bytes, newer: bytes) -> bytes:
    """The older document with the properties of the newer one, at the first level alone. Raises RuleBroken."""
    return msgspec.json.encode(
        document_is_object(older, "The document that is there") | document_is_object(newer, "The document")
    )
