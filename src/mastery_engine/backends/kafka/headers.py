"""The headers of Kafka's records: as text, as bytes again, and as CloudEvents (binary mode) have them."""

import gc
from collections.abc import Mapping
from typing import Any, TypeAlias

from confluent_kafka import Message

SOURCE = "mastery-engine"
NOT_UTF8 = {"tenant": "(headers whose names are not UTF-8)"}
NO_HEADERS: dict[str, str] = {}  # shared: nobody adds to a record's headers

SentHeaders: TypeAlias = list[tuple[str, str | bytes | None]]


def headers_of(message: Message) -> dict[str, str]:
    """A record's headers as text that ``bytes_of`` turns into the same bytes again.

    Where names are not UTF-8 none can be read: then the tenant is one that is refused.
    """
    try:
        headers: Any = message.headers()
        if not headers:
            return NO_HEADERS
        has_nulls = len(gc.get_referents(headers)) < len(headers)  # the client's bug: to touch such a null is a crash
    except (UnicodeDecodeError, SystemError):
        return dict(NOT_UTF8)
    if has_nulls:
        return dict(NOT_UTF8)
    return {name: (value or b"").decode(errors="surrogateescape") for name, value in headers}


def bytes_of(headers: Mapping[str, str]) -> SentHeaders:
    """Headers as Kafka's client takes them."""
    return [(name, value.encode(errors="surrogateescape")) for name, value in headers.items()]


def text_of(header: str) -> str:
    """A header's value as text that can be shown and stored."""
    return header.encode(errors="surrogateescape").decode(errors="replace")


def stated_id(headers: Mapping[str, str]) -> str:
    """The event's id as the headers give it; "" where they do not."""
    return text_of(headers.get("event_id") or headers.get("ce_id") or "")


def cloudevent_headers(
    event_id: str, source: str, event_type: str, time: str, student_id: str, tenant: str
) -> dict[str, str]:
    """What a record of ours says of itself; ``time`` is RFC 3339."""
    return {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": source,
        "ce_type": event_type,
        "ce_time": time,
        "ce_subject": student_id,
        "content-type": "application/json",
        "tenant": tenant,
    }
