"""The learning event: one envelope for every door, from the bytes on the wire to the fold.

``decode`` turns bytes into an event or says what is wrong with them; ``check_times`` says whether an event may count,
given the moment of its receipt; ``encode`` writes the bytes that the log keeps.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from mastery_engine.domain.kinds import ALIASES, KINDS, Consistency, Data
from mastery_engine.domain.moments import DAY, EARLIEST, LATEST, MINUTE, Micros, day_of, day_of_date, moment_of, rfc3339
from mastery_engine.errors import InvalidInput, RefusedEvent

DEFAULT_TENANT = "default"
CLOCK_SKEW: Micros = 5 * MINUTE

STUDENT_ID = r"^[A-Za-z0-9_-]{1,50}$"
EVENT_ID = r"^[A-Za-z0-9._:-]{1,100}$"
TENANT = r"^[a-z0-9][a-z0-9-]{0,39}$"

# Python's `$` lets a line break at the end pass; this look-ahead does not.
_END = r"(?!\n)"
StudentId: TypeAlias = Annotated[str, Meta(pattern=STUDENT_ID + _END)]
EventId: TypeAlias = Annotated[str, Meta(pattern=EVENT_ID + _END)]

Scalar: TypeAlias = str | int | float | bool | None


class LearningEvent(msgspec.Struct, frozen=True, gc=False):
    """Something that a student did, or that was found out about them.

    ``at`` is the event's own time and ``received`` the time of its receipt, both in microseconds since 1970 UTC.
    """

    event_id: str
    student_id: str
    at: Micros
    received: Micros
    data: Data
    tenant: str = DEFAULT_TENANT
    source: str | None = None
    metadata: dict[str, Scalar] = {}

    @property
    def event_type(self) -> str:
        return NAME_OF[type(self.data)]


class Logged(msgspec.Struct, frozen=True, gc=False):
    """An event, and where the log keeps it."""

    event: LearningEvent
    partition: int
    offset: int


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """The event as it is sent: the schema of every door."""

    event_type: str
    student_id: StudentId
    data: msgspec.Raw
    event_id: EventId | None = None
    timestamp: Annotated[datetime, Meta(tz=True)] | int | None = None
    source: Annotated[str, Meta(max_length=1_000)] | None = None
    metadata: dict[str, Scalar] | None = None


NAME_OF: dict[type[Data], str] = {kind: name for name, kind in KINDS.items()}
FIELDS = frozenset(field.name for field in msgspec.structs.fields(Envelope))
MAX_METADATA_KEYS = 20
MAX_METADATA_LENGTH = 200
ANY_METADATA = "metadata[...]"  # how the decoder names a key of an object

_envelope = msgspec.json.Decoder(Envelope)
_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])
_scalar = msgspec.json.Decoder(Scalar)
_data_decoders: dict[str, Callable[[msgspec.Raw], Data]] = {
    name: msgspec.json.Decoder(KINDS[ALIASES.get(name, name)]).decode for name in (*KINDS, *ALIASES)
}
_encode = msgspec.json.Encoder().encode
_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"(?:required|unknown) field `(?P<name>[^`]*)`")


def decode(
    value: bytes | msgspec.Raw,
    *,
    received: Micros,
    tenant: str = DEFAULT_TENANT,
    event_id: str | Callable[[], str | None] | None = None,
) -> LearningEvent:
    """The event in ``value``, a JSON document.

    ``event_id`` serves where the envelope has none: an id, or what makes one. Raises InvalidInput with the field.
    """
    try:
        value = bytes(value)  # a copy only of what is no bytes
        if not value.isascii():
            value.decode()  # the decoder does not look into what it skips
        envelope = _envelope.decode(value)
        decoder = _data_decoders.get(envelope.event_type)
        if decoder is None:
            raise unknown_kind(envelope.event_type)
        data = decode_data(decoder, envelope.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = malformed(error)
        if fault.field == ANY_METADATA:
            fault = InvalidInput(fault.message, field=_metadata_at_fault(value))
        raise fault from error
    chosen = envelope.event_id or (event_id() if callable(event_id) else event_id)
    if chosen is None:
        raise InvalidInput("The event has no event_id.", field="event_id")
    metadata = envelope.metadata
    if metadata:
        check_metadata(metadata)
    return LearningEvent(
        event_id=chosen,
        student_id=envelope.student_id,
        at=received if envelope.timestamp is None else moment_from(envelope.timestamp),
        received=received,
        data=data,
        tenant=tenant,
        source=envelope.source,
        metadata=metadata or {},
    )


def decode_data(decoder: Callable[[msgspec.Raw], Data], data: msgspec.Raw) -> Data:
    """The data of one kind; errors name the field within ``data``."""
    try:
        return decoder(data)
    except msgspec.ValidationError as error:
        raise malformed(error, within="data") from error


def _metadata_at_fault(value: bytes) -> str:
    """The field of the first key in metadata whose content is no scalar; the decoder does not say which."""
    for key, content in _keys.decode(_keys.decode(value)["metadata"]).items():
        try:
            _scalar.decode(content)
        except msgspec.DecodeError:
            return f"metadata.{key[:MAX_METADATA_LENGTH]}"
    return "metadata"


def unknown_fields(value: bytes | msgspec.Raw) -> list[str]:
    """The names in an envelope that the engine does not know, and ignores."""
    return [name for name in _keys.decode(value) if name not in FIELDS]


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
    cohort_id = metadata.get("cohort_id")
    if cohort_id is not None and not (isinstance(cohort_id, str) and 1 <= len(cohort_id) <= 100):
        raise InvalidInput("cohort_id is a text of 1 to 100 characters.", field="metadata.cohort_id")


def check_times(event: LearningEvent, *, retention_days: int) -> LearningEvent:
    """The event itself, where its times let it count; raises RefusedEvent otherwise. Depends on its receipt alone."""
    at, received = event.at, event.received
    if at > received + CLOCK_SKEW:
        raise RefusedEvent(
            f"The event is timed {rfc3339(event.at)}, more than 5 minutes after its receipt: check the sender's clock.",
            field="timestamp",
        )
    if at // DAY <= received // DAY - retention_days:
        raise RefusedEvent(
            f"The event is of {rfc3339(event.at)}: older than the {retention_days} days that are kept.",
            field="timestamp",
        )
    data = event.data
    if type(data) is Consistency:
        tomorrow = day_of(event.received) + 1
        if data.activity_dates and day_of_date(max(data.activity_dates)) > tomorrow:
            raise RefusedEvent(
                "activity_dates names a day later than the day after the receipt.", field="data.activity_dates"
            )
    return event


def encode(event: LearningEvent) -> bytes:
    """The envelope that the log keeps; ``decode`` with the same receipt and tenant gives the same event back."""
    envelope: dict[str, Any] = {
        "event_id": event.event_id,
        "event_type": NAME_OF[type(event.data)],
        "student_id": event.student_id,
        "timestamp": rfc3339(event.at),
        "data": event.data,
    }
    if event.source is not None:
        envelope["source"] = event.source
    if event.metadata:
        envelope["metadata"] = event.metadata
    return _encode(envelope)


def unknown_kind(event_type: str) -> InvalidInput:
    return InvalidInput(
        f"event_type {event_type[:100]!r} is not known; it is one of {', '.join(KINDS)}.", field="event_type"
    )


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


@lru_cache(maxsize=1_000)
def is_tenant(name: str) -> bool:
    return re.fullmatch(TENANT, name) is not None


def check_tenant(name: str) -> str:
    """The tenant's name itself. Raises InvalidInput where it is malformed."""
    if not is_tenant(name):
        raise InvalidInput(f"The tenant {name[:100]!r} does not match {TENANT}.", field="tenant")
    return name


def check_event_id(event_id: str) -> str | None:
    """An id that came beside the value, or None for an empty one. Raises InvalidInput where it is malformed."""
    if event_id and not re.fullmatch(EVENT_ID, event_id):
        raise InvalidInput(f"The id {event_id[:100]!r} does not match {EVENT_ID}.", field="event_id")
    return event_id or None


def peek(value: bytes | None) -> tuple[str | None, str | None]:
    """The student_id and event_id in a document that may be no event; None where they cannot be read."""
    try:
        fields = _keys.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, None
    return _text(fields.get("student_id"), STUDENT_ID), _text(fields.get("event_id"), EVENT_ID)


def _text(value: msgspec.Raw | None, pattern: str) -> str | None:
    try:
        text = msgspec.json.decode(value or b"null", type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return text if re.search(pattern + _END, text) else None
