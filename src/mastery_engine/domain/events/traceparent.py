"""W3C Trace Context: the header ``traceparent``, which connects the spans of a call across services."""

import re
from collections.abc import Mapping

from mastery_engine.domain.events.cloudevents import traceparent_around

TRACEPARENT = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_in(text: str | None) -> str | None:
    """The header if it may be passed on; None if it is missing or malformed, as the standard requires."""
    return text if text is not None and _FORM.fullmatch(text) else None


def trace_of(headers: Mapping[str, str], value: bytes | None) -> str | None:
    """The trace of a record: from its headers, from CloudEvents headers, or from the CloudEvent in its value."""
    said = (headers.get(TRACEPARENT), headers.get(f"ce_{TRACEPARENT}")) if headers else ()
    for text in said:
        if trace := traceparent_in(text):
            return trace
    return traceparent_in(traceparent_around(value)) if value else None
