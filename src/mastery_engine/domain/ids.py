"""Ids that are derived, so that the same cause always gives the same id."""

from hashlib import blake2b

import msgspec

ID_BYTES = 8

_written = msgspec.json.Encoder().encode  # a list of texts as JSON: no two read the same, and it is quickly made


def id_hash(event_id: str) -> bytes:
    """The 8 bytes by which a document knows an event.

    Two of a student's n ids share them with probability n² / 2^65: 3e-12 for 10,000.
    """
    return blake2b(event_id.encode(), digest_size=ID_BYTES).digest()


def derived_id(*parts: str) -> str:
    """A UUID (version 8, RFC 9562) made of the parts alone; no two lists of parts read the same."""
    text = blake2b(_written(parts), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-a{text[17:20]}-{text[20:]}"
