"""The learning event: one envelope for every door, from the bytes on the wire to the fold.

``decode`` turns bytes into an event or raises what is wrong; ``check_times`` refuses events that are too old or in the
future, given the moment of their receipt; ``encode`` makes the bytes that the log stores.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.events.envelope import (
    Scalar,
    SentEvent,
    moment_from,
    read,
    read_naming_unknown,
    read_whole,
)
from mastery_engine.domain.events.kinds import KINDS, Consistency, Data
from mastery_engine.domain.given_ids import FORMS, TENANT
from mastery_engine.domain.moments import MINUTE, Micros, day_of_date, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import InvalidInput, RefusedEvent

DEFAULT_TENANT = "default"
CLOCK_SKEW: Micros = 5 * MINUTE
SECONDS: Micros = 10_000_000_000_000  # in April 1970; a number of seconds, taken for milliseconds, lies before it
NO_METADATA: dict[str, Scalar] = {}  # shared, so never changed


class LearningEvent(msgspec.Struct, frozen=True, gc=False):
    """Something that a student did, or that was assessed about them.

    ``at`` is the time of the event and ``received`` the time of its receipt, in microseconds since 1970 UTC.
    """

    event_id: str
    student_id: str
    at: Micros
    received: Micros
    data: Data
    tenant: str = DEFAULT_TENANT
    source: str | None = None
    metadata: dict[str, Scalar] = {}
    course_id: str = DEFAULT_COURSE

    @property
    def event_type(self) -> str:
        return NAME_OF[type(self.data)]


class Logged(msgspec.Struct, frozen=True, gc=False):
    """An event with its position in the log."""

    event: LearningEvent
    partition: int
    offset: int


NAME_OF: dict[type[Data], str] = {kind: name for name, kind in KINDS.items()}
_encode = msgspec.json.Encoder().encode


def decode(
    value: bytes | msgspec.Raw,
    *,
    received: Micros,
    tenant: str = DEFAULT_TENANT,
    event_id: str | Callable[[], str | None] | None = None,
) -> LearningEvent:
    """The event in ``value``, a JSON document.

    ``event_id`` is used if the envelope has none: an id, or a function that makes one. Raises InvalidInput, which names
    the field.
    """
    sent = read(bytes(value))  # bytes are not copied
    return event_from(sent, _id_of(sent, event_id), received, tenant)


def decode_naming_unknown(
    value: bytes | SentEvent, *, received: Micros, tenant: str, event_id: Callable[[], str | None]
) -> tuple[LearningEvent, list[str]]:
    """As ``decode``, with the names of the envelope's unknown fields; the envelope may be decoded already."""
    sent, unknown = (value, []) if isinstance(value, SentEvent) else read_naming_unknown(value)
    return event_from(sent, _id_of(sent, event_id), received, tenant), unknown


def decode_written(value: bytes, *, received: Micros, tenant: str) -> LearningEvent | None:
    """As ``decode``, of a document that a log may keep as it is, in the place of what ``encode`` writes.

    None of one without an id, without a time or with unknown fields, and of one that ``decode`` refuses.
    """
    sent = read_whole(value)
    if sent is None or sent.event_id is None or sent.timestamp is None:
        return None
    try:
        return event_from(sent, sent.event_id, received, tenant)
    except InvalidInput:
        return None


def _id_of(sent: SentEvent, event_id: str | Callable[[], str | None] | None) -> str:
    chosen = sent.event_id or (event_id() if callable(event_id) else event_id)
    if chosen is None:
        raise InvalidInput("event_id is required.", field="event_id")
    return chosen


def event_from(sent: SentEvent, event_id: str, received: Micros, tenant: str) -> LearningEvent:
    """The event in a decoded envelope. Raises InvalidInput if its timestamp is out of range."""
    at = received if sent.timestamp is None else moment_from(sent.timestamp)
    return LearningEvent(
        event_id,
        sent.student_id,
        at,
        received,
        sent.data,
        tenant,
        sent.source,
        sent.metadata or NO_METADATA,
        sent.course_id or DEFAULT_COURSE,
    )


def check_times(event: LearningEvent, rules: Rules) -> LearningEvent:
    """The event itself if its times allow it to count; else raises RefusedEvent. Only its receipt decides, no clock.

    Days and retention are those of the course's ``rules``.
    """
    at, received = event.at, event.received
    if at > received + CLOCK_SKEW:
        raise RefusedEvent(
            f"The timestamp {rfc3339(event.at)} is more than 5 minutes after its receipt: check the sender's clock.",
            field="timestamp",
        )
    today = rules.day_of(received)
    if at < rules.start_of(rules.first_day(today)):
        raise RefusedEvent(
            f"The timestamp {rfc3339(event.at)} is older than the {rules.retention_days} days for which events count"
            f"{': a number must be milliseconds since 1970, and this one looks like seconds' if at < SECONDS else ''}.",
            field="timestamp",
        )
    data = event.data
    if type(data) is Consistency and data.activity_dates and day_of_date(max(data.activity_dates)) > today + 1:
        raise RefusedEvent(
            "data.activity_dates may not have a day later than the day after the receipt.",
            field="data.activity_dates",
        )
    return event


class CountingTimes(NamedTuple):
    """Between these moments an event counts whenever it was received within a while: ``check_times`` passes it."""

    first: Micros
    last: Micros

    def hold(self, event: LearningEvent) -> bool:
        """Whether an event surely counts; if not, only ``check_times`` can tell."""
        data = event.data
        return self.first <= event.at <= self.last and not (type(data) is Consistency and data.activity_dates)


def counting_times(first: Micros, last: Micros, rules: Rules) -> CountingTimes:
    """When an event counts by a course's ``rules`` at each receipt from ``first`` to ``last``."""
    return CountingTimes(rules.start_of(rules.first_day(rules.day_of(last))), first + CLOCK_SKEW)


def encode(event: LearningEvent) -> bytes:
    """The envelope that the log stores; ``decode`` with the same receipt and tenant gives the same event."""
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
    if event.course_id != DEFAULT_COURSE:
        envelope["course_id"] = event.course_id
    return _encode(envelope)


@lru_cache(maxsize=1_000)
def is_tenant(name: str) -> bool:
    return re.fullmatch(TENANT, name) is not None


def check_tenant(name: str) -> str:
    """The tenant's name itself. Raises InvalidInput if it is malformed."""
    if not is_tenant(name):
        raise InvalidInput(f"tenant {FORMS[TENANT]}; this is {name[:100]!r}.", field="tenant")
    return name
