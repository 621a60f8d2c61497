"""W3C Trace Context: the header by which a call is followed from one service to the next."""

import re

TRACEPARENT = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_in(text: str | None) -> str | None:
    """The header as it may be passed on; None where it is missing or malformed, as the standard asks."""
    return text if text is not None and _FORM.fullmatch(text) else None
