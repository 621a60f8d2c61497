"""The envelope of a learning event as it is sent, the schema of every door: from bytes to fields, or to what is wrong.

``read`` is quick where all is well: one pass, with the event's kind as the tag. What it does not take is read again
strictly, part by part, by which a fault finds its name.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.kinds import ALIASES, KINDS, Data
from mastery_engine.domain.moments import EARLIEST, LATEST, Micros, moment_of
from mastery_engine.errors import InvalidInput

STUDENT_ID = r"^[A-Za-z0-9_-]{1,50}$"
EVENT_ID = r"^[A-Za-z0-9._:-]{1,100}$"
MAX_METADATA_KEYS = 20
MAX_METADATA_LENGTH = 200
ANY_METADATA = "metadata[...]"  # how the decoder names a key of an object

# Python's `$` lets a line break at the end pass; this look-ahead does not.
_END = r"(?!\n)"
StudentId: TypeAlias = Annotated[str, Meta(pattern=STUDENT_ID + _END)]
EventId: TypeAlias = Annotated[str, Meta(pattern=EVENT_ID + _END)]

Scalar: TypeAlias = str | int | float | bool | None
Stated: TypeAlias = Annotated[datetime, Meta(tz=True)] | int | None
Source: TypeAlias = Annotated[str, Meta(max_length=1_000)] | None

_Short: TypeAlias = Annotated[str, Meta(max_length=MAX_METADATA_LENGTH)]
_Metadata: TypeAlias = Annotated[dict[_Short, _Short | int | float | bool | None], Meta(max_length=MAX_METADATA_KEYS)]


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """The event as it is sent: the schema of every door."""

    event_type: str
    student_id: StudentId
    data: msgspec.Raw
    event_id: EventId | None = None
    timestamp: Stated = None
    source: Source = None
    metadata: dict[str, Scalar] | None = None


class SentEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="event_type"):
    """An envelope that was read, with its data; each name of a kind has a type of its own."""

    student_id: str
    data: Any
    event_id: str | None = None
    timestamp: Stated = None
    source: Source = None
    metadata: _Metadata | None = None


FIELDS = frozenset(field.name for field in msgspec.structs.fields(Envelope))

_NAMES: dict[str, type[Data]] = {name: KINDS[ALIASES.get(name, name)] for name in (*KINDS, *ALIASES)}
_SENT: dict[str, Any] = {
    name: msgspec.defstruct(f"SentEvent[{name}]", [("data", kind)], bases=(SentEvent,), tag=name, frozen=True, gc=False)
    for name, kind in _NAMES.items()
}
_quick: Callable[[bytes], SentEvent] = msgspec.json.Decoder(reduce(or_, _SENT.values())).decode
_is_student_id, _is_event_id = re.compile(STUDENT_ID).fullmatch, re.compile(EVENT_ID).fullmatch

_envelope = msgspec.json.Decoder(Envelope).decode
_data_decoders: dict[str, Callable[[msgspec.Raw], Data]] = {
    name: msgspec.json.Decoder(kind).decode for name, kind in _NAMES.items()
}
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_scalar = msgspec.json.Decoder(Scalar).decode
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"(?:required|unknown) field `(?P<name>[^`]*)`")


def read(value: bytes) -> SentEvent:
    """The envelope in a JSON document, with its data. Raises InvalidInput with the field."""
    return _read_quickly(value) or read_strictly(value)


def opened(value: bytes) -> tuple[SentEvent, str | None]:
    """As ``read``, where a CloudEvent may stand around the envelope; and the CloudEvent's id."""
    sent = _read_quickly(value)
    if sent is not None:
        return sent, None
    inner, outside = unwrap(value)
    return read(inner), outside


def _read_quickly(value: bytes) -> SentEvent | None:
    """None where the quick way does not take it."""
    try:
        if not value.isascii():
            value.decode()  # the decoder does not look into what it skips
        sent = _quick(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidInput):
        return None
    event_id, metadata = sent.event_id, sent.metadata
    if not _is_student_id(sent.student_id) or not (event_id is None or _is_event_id(event_id)):
        return None
    if metadata and "cohort_id" in metadata:
        _check_cohort(metadata["cohort_id"])
    return sent


def read_strictly(value: bytes) -> SentEvent:
    """As ``read``, part by part: slower, and each fault has its name."""
    try:
        value.decode()
        envelope = _envelope(value)
        name = envelope.event_type
        decoder = _data_decoders.get(name)
        if decoder is None:
            raise InvalidInput(
                f"event_type {name[:100]!r} is not known; it is one of {', '.join(KINDS)}.", field="event_type"
            )
        data = _data(decoder, envelope.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = malformed(error)
        if fault.field == ANY_METADATA:
            fault = InvalidInput(fault.message, field=_metadata_at_fault(value))
        raise fault from error
    if envelope.metadata:
        check_metadata(envelope.metadata)
    sent: SentEvent = _SENT[name](
        student_id=envelope.student_id,
        data=data,
        event_id=envelope.event_id,
        timestamp=envelope.timestamp,
        source=envelope.source,
        metadata=envelope.metadata,
    )
    return sent


def _data(decoder: Callable[[msgspec.Raw], Data], data: msgspec.Raw) -> Data:
    """The data of one kind; errors name the field within ``data``."""
    try:
        return decoder(data)
    except msgspec.ValidationError as error:
        raise malformed(error, within="data") from error


def _metadata_at_fault(value: bytes) -> str:
    """The field of the first key in metadata whose content is no scalar; the decoder does not say which."""
    try:
        for key, content in _keys(_keys(value)["metadata"]).items():
            try:
                _scalar(content)
            except msgspec.DecodeError:
                return f"metadata.{key[:MAX_METADATA_LENGTH]}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # more is wrong with it, behind what the decoder met first
    return "metadata"


def unknown_fields(value: bytes | msgspec.Raw) -> list[str]:
    """The names in an envelope that the engine does not know, and ignores."""
    return [name for name in _keys(value) if name not in FIELDS]


def moment_from(timestamp: datetime | int) -> Micros:
    """The moment that an envelope states: RFC 3339, or whole milliseconds since 1970."""
    at = timestamp * 1_000 if isinstance(timestamp, int) else moment_of(timestamp)
    if not EARLIEST <= at <= LATEST:
        raise InvalidInput("The timestamp is no date between 1970 and 9999.", field="timestamp")
    return at


def check_metadata(metadata: dict[str, Scalar]) -> None:
    """Raises InvalidInput where metadata is more than the engine keeps."""
    if len(metadata) > MAX_METADATA_KEYS and len(metadata) - ("cohort_id" in metadata) > MAX_METADATA_KEYS:
        raise InvalidInput(f"metadata has more than {MAX_METADATA_KEYS} unknown keys.", field="metadata")
    for key, content in metadata.items():
        if len(key) > MAX_METADATA_LENGTH or (isinstance(content, str) and len(content) > MAX_METADATA_LENGTH):
            raise InvalidInput(
                f"A key or a text in metadata is longer than {MAX_METADATA_LENGTH} characters.",
                field=f"metadata.{key[:MAX_METADATA_LENGTH]}",
            )
    _check_cohort(metadata.get("cohort_id"))


def _check_cohort(cohort_id: Scalar) -> None:
    if cohort_id is not None and not (isinstance(cohort_id, str) and 1 <= len(cohort_id) <= 100):
        raise InvalidInput("cohort_id is a text of 1 to 100 characters.", field="metadata.cohort_id")


def check_event_id(event_id: str) -> str:
    """An id that came beside the value. Raises InvalidInput where there is none, or a malformed one."""
    if not event_id:
        raise InvalidInput("The event has no event_id.", field="event_id")
    if not _is_event_id(event_id):
        raise InvalidInput(f"The id {event_id[:100]!r} does not match {EVENT_ID}.", field="event_id")
    return event_id


def peek(value: bytes | None) -> tuple[str | None, str | None]:
    """The student_id and event_id in a document that may be no event; None where they cannot be read."""
    try:
        fields = _keys(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    return _text(fields.get("student_id"), STUDENT_ID), _text(fields.get("event_id"), EVENT_ID)


def _text(value: msgspec.Raw | None, pattern: str) -> str | None:
    try:
        text = msgspec.json.decode(value or b"null", type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return text if re.fullmatch(pattern, text) else None


def malformed(error: Exception, within: str = "") -> InvalidInput:
    """What a decoder found, as an error that names the field."""
    if isinstance(error, UnicodeDecodeError):
        return InvalidInput("The text is not UTF-8.")
    if isinstance(error, RecursionError):
        return InvalidInput("The JSON is nested too deeply.")
    found = _PATH.match(str(error))
    what, path = (found["what"], found["path"] or "") if found else (str(error), "")
    what = what.replace(repr(_END)[1:-1], "").replace(_END, "")
    named = _MISSING.search(what)
    names = [name for name in (within, path, named["name"] if named else "") if name]
    return InvalidInput(f"{what}.", field=".".join(names) or None)
