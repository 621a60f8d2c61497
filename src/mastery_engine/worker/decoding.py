"""Decoding: the records of a batch as events, or as dead letters with the reason."""

from collections.abc import Callable, Sequence

import msgspec

from mastery_engine.clock import Clock
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.earlier_rules import read_logged
from mastery_engine.domain.events.envelope import check_event_id, peek, read_quickly
from mastery_engine.domain.events.event import (
    CountingTimes,
    LearningEvent,
    Logged,
    check_tenant,
    check_times,
    counting_times,
    event_from,
)
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import course_of
from mastery_engine.errors import Forbidden, InvalidInput, MasteryError, RefusedEvent
from mastery_engine.ports.dead_letters import DeadLetter, letter_of
from mastery_engine.ports.event_log import REQUESTS_TOPIC, Batch, Position, Record


class DecodedBatch(msgspec.Struct):
    """A batch's events and dead letters, the positions of records that could not be read at all, and all courses."""

    events: list[Logged]
    letters: list[DeadLetter]
    unreadable: set[Position]
    courses: set[CourseKey]


def _event_in(record: Record) -> LearningEvent:
    """The event in a record. Raises InvalidInput."""
    value = record.value
    if value is None:
        raise InvalidInput("The record has no value: send a learning event as JSON.")
    sent, outside = read_quickly(value), None
    if sent is None:
        sent, outside = read_logged(value, record.received)
    event_id = sent.event_id or check_event_id(record.id_beside(outside))
    return event_from(sent, event_id, record.received, check_tenant(record.tenant))


class RecordDecoder:
    """Decodes records, and makes dead letters of those without a valid event."""

    def __init__(self, rules_of: Callable[[CourseKey], Rules], clock: Clock) -> None:
        """``rules_of`` gives the rules of a course: they say which days count."""
        self._rules_of = rules_of
        self._clock = clock

    def decode(self, batch: Batch) -> DecodedBatch:
        """The events and dead letters of a batch."""
        decoded = DecodedBatch([], [], set(), set())
        receipts = [record.received for record in batch.records] or [0]
        first, last = min(receipts), max(receipts)
        times: dict[tuple[str, str], CountingTimes] = {}
        for record in batch.records:
            try:
                event = record.event or _event_in(record)
                counting = times.get((event.tenant, event.course_id))
                if counting is None:
                    course = course_of(event)
                    decoded.courses.add(course)
                    counting = times[course] = counting_times(first, last, self._rules_of(course))
                if not counting.hold(event):
                    check_times(event, self._rules_of(course_of(event)))
            except InvalidInput as error:
                decoded.letters.append(self.letter(record, error))
                if not isinstance(error, RefusedEvent):
                    decoded.unreadable.add(Position(record.partition, record.offset))
            else:
                decoded.events.append(Logged(event, record.partition, record.offset))
        return decoded

    def events_in(self, records: Sequence[Record]) -> list[Logged]:
        """The events in records, without those that cannot be read or are refused."""
        return self.decode(Batch(tuple(records), {}, {})).events

    def letter(self, record: Record, error: Exception) -> DeadLetter:
        """A dead letter: the record as it came, and why it cannot be processed."""
        value, outside = (None, None) if record.value is None else unwrap(record.value)
        peeked = peek(value)
        code, message = MasteryError.code, f"The event could not be folded: {error}"
        if isinstance(error, MasteryError):
            code, message = error.code, error.located
        event_id = peeked.event_id or record.id_beside(outside) or None
        return letter_of(
            REQUESTS_TOPIC, record, code, message, self._clock(), student_id=peeked.student_id, event_id=event_id
        )

    def withheld(self, record: Record | DeadLetter) -> DeadLetter:
        """A dead letter without the student's data, which may not be stored without their consent."""
        return DeadLetter(
            REQUESTS_TOPIC,
            record.partition,
            record.offset,
            record.tenant,
            None,
            None,
            {},
            record.received,
            None,
            None,
            Forbidden.code,
            "The student did not consent to processing when this event was received, or was erased.",
            1,
            self._clock(),
        )
