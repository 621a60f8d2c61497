"""CloudEvents 1.0 in structured mode, as Dapr and others publish them: the event inside, and the id outside."""

import msgspec


class _Structured(msgspec.Struct):
    specversion: str
    data: msgspec.Raw
    id: str | None = None
    event_type: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Traced(msgspec.Struct):
    specversion: str
    traceparent: str | None = None


_decode = msgspec.json.Decoder(_Structured).decode
_decode_traced = msgspec.json.Decoder(_Traced).decode


def unwrap(value: bytes) -> tuple[bytes, str | None]:
    """The document inside a CloudEvent and the CloudEvent's id; anything else is returned unchanged, without an id."""
    if b'"specversion"' not in value:
        return value, None
    try:
        outside = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value, None
    if outside.event_type is not msgspec.UNSET:
        return value, None  # a learning event that happens to carry a specversion
    return bytes(outside.data), outside.id


def traceparent_around(value: bytes) -> str | None:
    """The ``traceparent`` of a CloudEvent in structured mode; None for anything else."""
    if b'"traceparent"' not in value or b'"specversion"' not in value:
        return None
    try:
        return _decode_traced(value).traceparent
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
