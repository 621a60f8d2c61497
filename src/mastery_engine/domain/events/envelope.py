"""The envelope of a learning event, the same for every door: decoded from bytes, or refused with the field at fault.

``read`` first tries one quick pass, with the event's kind as the tag. What that does not accept is read again part by
part, which is slower and names the field at fault.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, KNOWN_COURSES
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.kinds import ALIASES, KINDS, Data
from mastery_engine.domain.faults import malformed
from mastery_engine.domain.given_ids import (
    EVENT_ID,
    FORMS,
    IN_EVENT_IDS,
    IN_STUDENT_IDS,
    LONGEST_EVENT_ID,
    LONGEST_NAME,
    LONGEST_STUDENT_ID,
    STUDENT_ID,
    KnownIds,
    normal_id,
)
from mastery_engine.domain.json_text import without_mark
from mastery_engine.domain.moments import EARLIEST, LATEST, Micros, moment_of
from mastery_engine.errors import InvalidInput

MAX_METADATA_KEYS = 20
MAX_METADATA_LENGTH = 200
ANY_METADATA = "metadata[...]"  # the decoder's name for any key of metadata

# Python's `$` also matches before a line break at the end; with this look-ahead it does not.
_END = r"(?!\n)"
StudentId: TypeAlias = Annotated[str, Meta(pattern=STUDENT_ID + _END)]
EventId: TypeAlias = Annotated[str, Meta(pattern=EVENT_ID + _END)]

Scalar: TypeAlias = str | int | float | bool | None
Stated: TypeAlias = Annotated[datetime, Meta(tz=True)] | int | None
Source: TypeAlias = Annotated[str, Meta(max_length=1_000)] | None
# The length is that of the normal form, so the decoder does not check it; see ``given_ids``.
CourseId: TypeAlias = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_NAME})]

_Short: TypeAlias = Annotated[str, Meta(max_length=MAX_METADATA_LENGTH)]
_Metadata: TypeAlias = Annotated[dict[_Short, _Short | int | float | bool | None], Meta(max_length=MAX_METADATA_KEYS)]


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """The event as it is sent through any door."""

    event_type: str
    student_id: StudentId
    data: msgspec.Raw
    event_id: EventId | None = None
    timestamp: Stated = None
    source: Source = None
    metadata: dict[str, Scalar] | None = None
    course_id: CourseId | None = None


class SentEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag_field="event_type"):
    """A decoded envelope with its data; each name of a kind has its own type."""

    student_id: str
    data: Any
    event_id: str | None = None
    timestamp: Stated = None
    source: Source = None
    metadata: _Metadata | None = None
    course_id: str | None = None


FIELDS = frozenset(field.name for field in msgspec.structs.fields(Envelope))

_NAMES: dict[str, type[Data]] = {name: KINDS[ALIASES.get(name, name)] for name in (*KINDS, *ALIASES)}
_SENT: dict[str, Any] = {
    name: msgspec.defstruct(f"SentEvent[{name}]", [("data", kind)], bases=(SentEvent,), tag=name, frozen=True, gc=False)
    for name, kind in _NAMES.items()
}
_quick: Callable[[bytes], SentEvent] = msgspec.json.Decoder(reduce(or_, _SENT.values())).decode
# The same, but refusing unknown fields: what it accepts needs no second pass to look for them.
_CLOSED: dict[str, Any] = {
    name: msgspec.defstruct(
        kind.__name__, [], bases=(kind,), tag=name, frozen=True, gc=False, forbid_unknown_fields=True
    )
    for name, kind in _SENT.items()
}
_closed: Callable[[bytes], SentEvent] = msgspec.json.Decoder(reduce(or_, _CLOSED.values())).decode
_COHORTS = KnownIds(LONGEST_NAME)
_is_student_id, _is_event_id = re.compile(STUDENT_ID).fullmatch, re.compile(EVENT_ID).fullmatch

_envelope = msgspec.json.Decoder(Envelope).decode
_data_decoders: dict[str, Callable[[msgspec.Raw], Data]] = {
    name: msgspec.json.Decoder(kind).decode for name, kind in _NAMES.items()
}
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_scalar = msgspec.json.Decoder(Scalar).decode


def read(value: bytes) -> SentEvent:
    """The envelope in a JSON document, with its data. Raises InvalidInput, which names the field."""
    return read_quickly(value) or read_strictly(value)


def read_quickly(value: bytes, decode: Callable[[bytes], SentEvent] = _quick) -> SentEvent | None:
    """As ``read``, by the quick pass alone; None if that does not accept the document."""
    try:
        if not value.isascii():
            value.decode()  # the decoder does not check the encoding of what it skips
        sent = decode(value)
        if sent.course_id not in KNOWN_COURSES:
            _spell_course(sent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidInput):
        return None
    student_id, event_id, metadata = sent.student_id, sent.event_id, sent.metadata
    # As the patterns say, in half the time.
    if not 0 < len(student_id) <= LONGEST_STUDENT_ID or student_id.encode().translate(None, IN_STUDENT_IDS):
        return None
    if event_id is not None and (
        not 0 < len(event_id) <= LONGEST_EVENT_ID or event_id.encode().translate(None, IN_EVENT_IDS)
    ):
        return None
    if metadata and "cohort_id" in metadata:
        _spell_cohort(metadata)
    return sent


def read_naming_unknown(value: bytes) -> tuple[SentEvent, list[str]]:
    """As ``read``, with the names of unknown fields, which the engine ignores.

    Without unknown fields it takes one pass; their names take another one.
    """
    sent = read_quickly(value, _closed)
    return (sent, []) if sent is not None else (read(value), unknown_fields(value))


def read_whole(value: bytes) -> SentEvent | None:
    """As ``read``, of a document without unknown fields; None of any other, and of one that ``read`` refuses."""
    return read_quickly(value, _closed)


def read_unwrapped(value: bytes) -> tuple[SentEvent, str | None]:
    """As ``read``, for a document behind a byte-order mark or inside a CloudEvent; with the CloudEvent's id."""
    sent = read_quickly(value)
    if sent is not None:
        return sent, None
    inner, outside = unwrap(without_mark(value))
    return read(inner), outside


def sent_from(
    event_type: str,
    data: Mapping[str, Any],
    *,
    student_id: str,
    event_id: str,
    timestamp: datetime | None,
    source: str | None,
    course_id: str | None,
) -> SentEvent | None:
    """What ``read`` makes of the JSON of these; None where only that can say what is wrong, and in which field."""
    try:
        sent: SentEvent = _SENT[event_type](
            student_id=student_id,
            data=msgspec.convert(data, _NAMES[event_type]),
            event_id=event_id,
            timestamp=timestamp,
            source=source,
            course_id=course_id,
        )
        if course_id not in KNOWN_COURSES:
            _spell_course(sent)
    except (msgspec.ValidationError, InvalidInput):
        return None
    return sent if _is_student_id(student_id) and _is_event_id(event_id) else None


def read_strictly(value: bytes) -> SentEvent:
    """As ``read``, part by part: slower, but every error names its field."""
    try:
        value.decode()
        envelope = _envelope(value)
        name = envelope.event_type
        decoder = _data_decoders.get(name)
        if decoder is None:
            raise InvalidInput(
                f"event_type must be one of {', '.join(KINDS)}; {name[:100]!r} is not known.", field="event_type"
            )
        data = _data(decoder, envelope.data, _NAMES[name])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = malformed(error, source=value)
        if fault.field == ANY_METADATA:
            field = _metadata_at_fault(value)
            fault = InvalidInput(fault.message.replace(ANY_METADATA, field), field=field)
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
        course_id=envelope.course_id,
    )
    if sent.course_id not in KNOWN_COURSES:
        _spell_course(sent)
    return sent


def _spell_course(sent: SentEvent) -> None:
    """Puts the course of a new envelope into its normal form. Raises InvalidInput."""
    force_setattr(sent, "course_id", KNOWN_COURSES.spelled(sent.course_id or "", "course_id"))


def _data(decoder: Callable[[msgspec.Raw], Data], data: msgspec.Raw, kind: type[Data]) -> Data:
    """The decoded data of a kind; errors name the field within ``data``."""
    try:
        return decoder(data)
    except msgspec.ValidationError as error:
        raise malformed(error, within="data", kind=kind) from error


def _metadata_at_fault(value: bytes) -> str:
    """The name of the first metadata field that is not a scalar; the decoder does not name it."""
    try:
        for key, content in _keys(_keys(value)["metadata"]).items():
            try:
                _scalar(content)
            except msgspec.DecodeError:
                return f"metadata.{key[:MAX_METADATA_LENGTH]}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # the document has another fault after the one that the decoder met first
    return "metadata"


def unknown_fields(value: bytes | msgspec.Raw) -> list[str]:
    """The names of an envelope's unknown fields, which the engine ignores."""
    try:
        return [name for name in _keys(value) if name not in FIELDS]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from error


def moment_from(timestamp: datetime | int, *, field: str = "timestamp") -> Micros:
    """The moment of a timestamp: an RFC 3339 time, or whole milliseconds since 1970. Raises InvalidInput."""
    at = timestamp * 1_000 if isinstance(timestamp, int) else moment_of(timestamp)
    if not EARLIEST <= at <= LATEST:
        raise InvalidInput(f"{field} must lie between the years 1970 and 9999.", field=field)
    return at


def check_metadata(metadata: dict[str, Scalar]) -> None:
    """Raises InvalidInput if metadata is larger than the engine accepts."""
    if len(metadata) > MAX_METADATA_KEYS and len(metadata) - ("cohort_id" in metadata) > MAX_METADATA_KEYS:
        raise InvalidInput(f"metadata may have at most {MAX_METADATA_KEYS} keys.", field="metadata")
    for key, content in metadata.items():
        if key == "cohort_id":
            continue  # its own rule counts the characters of its normal form
        if len(key) > MAX_METADATA_LENGTH or (isinstance(content, str) and len(content) > MAX_METADATA_LENGTH):
            raise InvalidInput(
                f"Keys and texts in metadata may have at most {MAX_METADATA_LENGTH} characters.",
                field=f"metadata.{key[:MAX_METADATA_LENGTH]}",
            )
    if "cohort_id" in metadata:
        _spell_cohort(metadata)


def _spell_cohort(metadata: dict[str, Scalar]) -> None:
    """Puts the cohort of new metadata into its normal form. Raises InvalidInput."""
    cohort_id = metadata["cohort_id"]
    if isinstance(cohort_id, str):
        if cohort_id not in _COHORTS:
            metadata["cohort_id"] = _COHORTS.spelled(cohort_id, "metadata.cohort_id")
    elif cohort_id is not None:
        raise InvalidInput("metadata.cohort_id must be a text of 1 to 100 characters.", field="metadata.cohort_id")


def check_event_id(event_id: str) -> str:
    """An event id from outside the envelope, checked. Raises InvalidInput if it is empty or malformed."""
    if not event_id:
        raise InvalidInput("event_id is required.", field="event_id")
    if not _is_event_id(event_id):
        raise InvalidInput(f"event_id {FORMS[EVENT_ID]}; this is {event_id[:100]!r}.", field="event_id")
    return event_id


class Peeked(NamedTuple):
    """What can be read of a document that may not be an event; the default course where none can be."""

    student_id: str | None = None
    event_id: str | None = None
    course_id: str = DEFAULT_COURSE


def peek(value: bytes | SentEvent | None) -> Peeked:
    """Whose event a document would be, its id, and its course."""
    if isinstance(value, SentEvent):
        return Peeked(value.student_id, value.event_id, value.course_id or DEFAULT_COURSE)
    try:
        fields = _keys(without_mark(value or b""))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Peeked()
    return Peeked(
        _text(fields.get("student_id"), STUDENT_ID),
        _text(fields.get("event_id"), EVENT_ID),
        _course(fields.get("course_id")),
    )


def _text(value: msgspec.Raw | None, pattern: str | None = None) -> str | None:
    try:
        text = msgspec.json.decode(value or b"null", type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return text if pattern is None or re.fullmatch(pattern, text) else None


def _course(value: msgspec.Raw | None) -> str:
    text = _text(value)
    if text is None:
        return DEFAULT_COURSE
    try:
        return normal_id(text, "course_id")
    except InvalidInput:
        return DEFAULT_COURSE
