"""What the records of a batch are: events, or dead letters that say why they are none."""

import msgspec

from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import check_event_id, opened, peek
from mastery_engine.domain.events.event import Logged, check_tenant, check_times, event_from
from mastery_engine.errors import Forbidden, InvalidInput, MasteryError, RefusedEvent
from mastery_engine.ports.clock import Clock
from mastery_engine.ports.event_log import REQUESTS_TOPIC, Batch, DeadLetter, Position, Record


class Read(msgspec.Struct):
    """A batch's events and dead letters, and where those records stand that could not be read at all."""

    events: list[Logged]
    letters: list[DeadLetter]
    unreadable: set[Position]


class Reading:
    """Reads records, and writes dead letters."""

    def __init__(self, retention_days: int, clock: Clock) -> None:
        self._retention_days = retention_days
        self._clock = clock

    def read(self, batch: Batch) -> Read:
        """What the batch holds."""
        found = Read([], [], set())
        for record in batch.records:
            try:
                if record.value is None:
                    raise InvalidInput("The record has no value.")
                sent, outside = opened(record.value)
                event_id = sent.event_id or check_event_id(record.id_beside(outside))
                event = event_from(sent, event_id, record.received, check_tenant(record.tenant))
                check_times(event, retention_days=self._retention_days)
            except InvalidInput as error:
                found.letters.append(self.letter(record, error))
                if not isinstance(error, RefusedEvent):
                    found.unreadable.add(Position(record.partition, record.offset))
            else:
                found.events.append(Logged(event, record.partition, record.offset))
        return found

    def letter(self, record: Record, error: Exception) -> DeadLetter:
        """The record as it came, and why it cannot be processed."""
        value, outside = (None, None) if record.value is None else unwrap(record.value)
        student_id, event_id = peek(value)
        code, message = MasteryError.code, f"The fold failed: {error}"
        if isinstance(error, MasteryError):
            code, message = error.code, f"{error.field}: {error.message}" if error.field else error.message
        return DeadLetter(
            REQUESTS_TOPIC,
            record.partition,
            record.offset,
            record.tenant,
            record.key,
            record.value,
            record.headers,
            record.received,
            student_id,
            event_id or record.id_beside(outside) or None,
            code,
            message,
            1,
            self._clock(),
        )

    def withheld(self, record: Record | DeadLetter) -> DeadLetter:
        """A dead letter without anything of the student, who has not allowed that it be kept."""
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
            "Processing was not allowed when this event was received, or the student was erased.",
            1,
            self._clock(),
        )
