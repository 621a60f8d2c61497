"""CloudEvents 1.0 in structured mode: the event inside, and the id outside, as Dapr and others publish them."""

import msgspec


class _Structured(msgspec.Struct):
    specversion: str
    data: msgspec.Raw
    id: str | None = None


_decode = msgspec.json.Decoder(_Structured).decode


def unwrap(value: bytes) -> tuple[bytes, str | None]:
    """The document inside a CloudEvent and the CloudEvent's id; what is no CloudEvent is given back as it is."""
    if b'"specversion"' not in value:
        return value, None
    try:
        outside = _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value, None
    return bytes(outside.data), outside.id
