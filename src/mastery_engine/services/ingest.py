"""Ingest: learning events from every door into the log, and the status of events."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.events.envelope import Peeked, SentEvent, check_event_id, peek
from mastery_engine.domain.events.event import LearningEvent, Logged, check_times, decode_naming_unknown
from mastery_engine.domain.events.seen import Seen, holds
from mastery_engine.domain.ids import derived_id, seen_hash
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey, StudentKey, course_of, key_of
from mastery_engine.errors import Busy, Forbidden, InvalidInput, MasteryError, Unavailable
from mastery_engine.ports.documents import LOAD_S, DocumentStore
from mastery_engine.ports.event_log import REQUESTS_TOPIC, EventLog, Position
from mastery_engine.ports.refusals import Refusal, RefusalStore
from mastery_engine.responses.ingest import EventStatus, IngestResponse, Problem, Receipt
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.idempotency import Claim, Idempotency, IdempotencyKey
from mastery_engine.tasks import promptly
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.tracing import Tracing, carried

logger = logging.getLogger(__name__)

Delivery: TypeAlias = Literal["SUCCESS", "RETRY", "DROP"]

LOG_S = 5.0


class TakenEvent(msgspec.Struct, frozen=True):
    """The outcome of one event, with its student and id if they could be read."""

    receipt: Receipt
    student_id: str | None

    def receipt_or_refusal(self) -> Receipt:
        """The receipt. Raises Forbidden or InvalidInput if the event was refused."""
        error = self.receipt.error
        if error is not None:
            refused = Forbidden if error.code == Forbidden.code else InvalidInput
            raise refused(error.message, field=error.field)
        return self.receipt


class Ingest:
    """Takes events into the log. ``new_id`` makes unique ids."""

    def __init__(
        self,
        log: EventLog,
        documents: DocumentStore,
        refusals: RefusalStore,
        consents: Consents,
        audit: Audit,
        access: AccessControl,
        idempotency: Idempotency,
        courses: Courses,
        clock: Clock,
        new_id: Callable[[], str],
        metrics: Metrics,
        tracing: Tracing,
    ) -> None:
        self._log = log
        self._documents = documents
        self._refusals = refusals
        self._consents = consents
        self._audit = audit
        self._access = access
        self._idempotency = idempotency
        self._courses = courses
        self._clock = clock
        self._new_id = new_id
        self._metrics = metrics
        self._tracing = tracing

    async def take(
        self,
        caller: Caller,
        values: Sequence[bytes | SentEvent],
        key: IdempotencyKey | None = None,
        *,
        call: str = "ingest",
        received: Sequence[Micros] | None = None,
    ) -> IngestResponse:
        """Take events, each accepted or refused on its own; accepted ones are durable on return.

        Each is a JSON document, or what was read of one. With a ``key`` events without an id get the same ids if the
        call is repeated. ``received`` are the moments of their receipt, where that was before the call. Raises Conflict
        if the key was used with another body.
        """
        taken = await self._take(caller, values, partial(self.derived_id, caller, call, key), call, key, received)
        accepted = sum(event.receipt.error is None for event in taken)
        return IngestResponse(accepted, len(values) - accepted, [event.receipt for event in taken])

    async def take_one(self, caller: Caller, value: bytes, key: IdempotencyKey | None = None) -> TakenEvent:
        """As ``take``, for one event."""
        (taken,) = await self._take(caller, [value], partial(self.derived_id, caller, "ingest", key), "ingest", key)
        return taken

    async def deliver(self, caller: Caller, value: bytes, outside_id: str | None) -> tuple[Delivery, str | None]:
        """Take an event that a message broker delivers; returns what the broker should do, and the event's student.

        SUCCESS once it is durable, RETRY if a dependency does not answer, DROP for what can never be read; then the
        reason is logged, and shown by the event's status. ``outside_id`` is the broker's id for events without one.
        """
        beside = _event_id_or_none(outside_id)
        try:
            (taken,) = await self._take(caller, [value], lambda _: beside or self._new_id())
            if taken.receipt.error is None:
                return "SUCCESS", taken.student_id
            await self._note_dropped(caller, peek(value), taken.receipt.event_id or beside, taken.receipt.error)
        except (Unavailable, Busy) as error:
            logger.warning("an event must be delivered again: %s", error.message)
            return "RETRY", peek(value).student_id
        return "DROP", taken.student_id

    async def note_refused(self, caller: Caller, refused: Sequence[tuple[Peeked, Problem]]) -> None:
        """Keep why events were refused, for whoever asks for their status; of what consent withholds nothing is kept.

        Raises Unavailable.
        """
        at, refusals = caller.moment(self._clock), []
        for peeked, problem in refused:
            if peeked.student_id is not None and peeked.event_id is not None and problem.code != Forbidden.code:
                key = StudentKey(caller.tenant, peeked.student_id)
                refusals.append(Refusal(key, peeked.event_id, problem.code, problem.message, at, peeked.course_id))
        if refusals:
            await self._refusals.put(refusals)

    async def _note_dropped(self, caller: Caller, peeked: Peeked, event_id: str | None, problem: Problem) -> None:
        """Record why an event is dropped, in the logs and for the event's status."""
        self._metrics.dead_letters.labels(problem.code).inc()
        logger.warning("dead letter: %s", problem.message, extra={"code": problem.code, "topic": REQUESTS_TOPIC})
        if peeked.student_id is not None and event_id is not None:
            key, at = StudentKey(caller.tenant, peeked.student_id), caller.moment(self._clock)
            refusal = Refusal(key, event_id, problem.code, problem.message, at, peeked.course_id)
            await self._refusals.put([refusal])

    async def _take(
        self,
        caller: Caller,
        values: Sequence[bytes | SentEvent],
        new_id: Callable[[int], str],
        call: str = "ingest",
        key: IdempotencyKey | None = None,
        received: Sequence[Micros] | None = None,
    ) -> list[TakenEvent]:
        """As ``take``; ``new_id`` makes the ids of events that have none, by their places."""
        self._access.check_act(caller, Act.RECORD, "ingest")
        now = caller.moment(self._clock)
        await self.refresh_consent()
        receipts = received or [now] * len(values)
        read = [
            self._read(value, caller.tenant, at, partial(new_id, place))
            for place, (value, at) in enumerate(zip(values, receipts, strict=True))
        ]
        named = {course_of(one[0]) for one in read if not isinstance(one, MasteryError)}
        setups = await self._courses.of_many(list(named), now)
        taken: list[TakenEvent] = []
        events: list[LearningEvent] = []
        for value, one in zip(values, read, strict=True):
            try:
                if isinstance(one, MasteryError):
                    raise one
                event, unknown = one
                check_times(event, setups[course_of(event)].rules)
            except MasteryError as error:
                self._metrics.events.labels("unknown", "refused").inc()
                peeked = peek(value)
                problem = Problem(error.code, error.message, error.field)
                taken.append(TakenEvent(Receipt(peeked.event_id, "refused", problem), peeked.student_id))
            else:
                events.append(event)
                receipt = Receipt(event.event_id, "queued", ignored=unknown or None)
                taken.append(TakenEvent(receipt, event.student_id))
        for kind, number in Counter([event.event_type for event in events]).items():
            self._metrics.events.labels(kind, "accepted").inc(number)
        await self.submit(caller, events, "ingest", partial(self._idempotency.claim, caller, call, key))
        return taken

    def _read(
        self, value: bytes | SentEvent, tenant: str, received: Micros, new_id: Callable[[], str]
    ) -> tuple[LearningEvent, list[str]] | MasteryError:
        """The event in a document, and the names of its unknown fields.

        The error where it is none, or where there is no consent as of the last ``refresh_consent``.
        """
        try:
            event, unknown = decode_naming_unknown(value, received=received, tenant=tenant, event_id=new_id)
            event = self._consents.as_owners(event)
            self._consents.check_processing(key_of(event))
        except MasteryError as error:
            return error
        return event, unknown

    async def refresh_consent(self) -> None:
        """Read the latest changes of consent. Raises Unavailable."""
        async with promptly("log", LOG_S):  # calls queue for it, so the wait may grow without this limit
            await self._consents.refresh()

    def derived_id(self, caller: Caller, call: str, key: IdempotencyKey | None, place: int) -> str:
        """The id for an event without one: the same for the same Idempotency-Key, caller, call, body and place.

        The body is part of it, so that a key that is used anew after its 24 hours loses no event as a repeat.
        """
        if key is None:
            return self._new_id()
        return derived_id("idempotency-key", caller.tenant, caller.subject, call, str(place), key.value, key.body)

    async def submit(
        self, caller: Caller, events: Sequence[LearningEvent], call: str, claim: Claim | None = None
    ) -> list[Logged]:
        """Record the change in the audit trail, then append the events to the log; both are durable on return.

        Without events nothing is done and nothing claimed. Raises what ``claim`` raises before anything is written.
        """
        if not events:
            return []
        if claim is not None:
            await claim()
        return [
            Logged(event, position.partition, position.offset)
            for event, position in zip(events, await self._append(caller, events, call), strict=True)
        ]

    async def append(
        self, caller: Caller, events: Sequence[LearningEvent], call: str, values: Sequence[bytes | None] | None = None
    ) -> dict[int, int]:
        """As ``submit``; the offset after the last of the events, by partition. ``values`` are as for the log."""
        ends: dict[int, int] = {}
        for position in await self._append(caller, events, call, values):
            if position.offset >= ends.get(position.partition, 0):
                ends[position.partition] = position.offset + 1
        return ends

    async def _append(
        self, caller: Caller, events: Sequence[LearningEvent], call: str, values: Sequence[bytes | None] | None = None
    ) -> list[Position]:
        students = {event.student_id: None for event in events}
        with self._tracing.step("append"):
            append = partial(self._log.append, events, carried() or caller.traceparent, values)
            positions = await self._audit.write_then(caller, call, students, append, self._log)
            self._tracing.remember(positions)
        return positions

    async def status(
        self, caller: Caller, student_id: str, event_id: str, *, course_id: str | None = None
    ) -> EventStatus:
        """Whether an event was processed, dead-lettered, or neither so far; of all courses, if none is given.

        What was sent under a derived id is found, too, after it was linked to a student.

        Raises Forbidden and InvalidInput.
        """
        self._access.check_student(caller, Act.READ, student_id, "event-status")
        check_event_id(event_id)
        owner = await self._consents.student_now(caller.tenant, student_id, caller.moment(self._clock))
        key, named = StudentKey(caller.tenant, owner), StudentKey(caller.tenant, student_id)
        async with promptly("store", LOAD_S):
            if await self._has_seen(key, course_id, seen_hash(event_id)):
                return EventStatus(event_id, "processed")
            for one in dict.fromkeys((key, named)):
                refusal = await self._refusals.find(one, event_id, course_id=course_id)
                if refusal is not None:
                    return EventStatus(event_id, "dead_lettered", Problem(refusal.code, refusal.message))
        return EventStatus(event_id, "not_processed")

    async def _has_seen(self, key: StudentKey, course_id: str | None, known_by: bytes) -> bool:
        """Whether a document of the student, in this course or in any, has the event."""
        seen = await self._seen(key, course_id)
        if any(one.holds(known_by) for one in seen.values()):
            return True
        unsure = [one for one, held in seen.items() if held.may_be_cold(known_by)]
        if not unsure:
            return False
        if any(holds(cold, known_by) for cold in await self._documents.load_cold(unsure)):
            return True
        # Between the two reads a fold may have taken the cold ids back into the document.
        return any(one.holds(known_by) for one in (await self._seen(key, course_id)).values())

    async def _seen(self, key: StudentKey, course_id: str | None) -> dict[DocumentKey, Seen]:
        """The ids in the student's documents, in this course or in all."""
        (courses,) = await self._documents.of_students([key])
        return {
            DocumentKey(*key, one): document.student.seen
            for one, document in courses.items()
            if course_id in (None, one)
        }


def _event_id_or_none(text: str | None) -> str | None:
    """A broker's id if it has the form of an event id; else None."""
    try:
        return None if text is None else check_event_id(text)
    except InvalidInput:
        return None
