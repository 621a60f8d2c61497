"""Ingesting a file of another platform's messages: what each became, in the words of ``ingest``."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice

import msgspec

from mastery_engine.cli.console import counted
from mastery_engine.cli.event_file import LONGEST_LINE, EventFile, event_in
from mastery_engine.cli.feeding import Chunk
from mastery_engine.cli.message_file import documents_in, messages_of
from mastery_engine.cli.refusals import Refusals, what_of_accepted
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.faults import malformed
from mastery_engine.domain.moments import DAY, moment_of
from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.student import key_of
from mastery_engine.doors.drafts import DoorName, Draft, Translation
from mastery_engine.engine import Engine
from mastery_engine.errors import InvalidInput, MasteryError
from mastery_engine.responses.ingest import Problem, Receipt
from mastery_engine.services.doorways import result_of

AT_ONCE = 2_000  # messages whose people are looked up together
MOST_REASONS = 100


class RefusedMessage(msgspec.Struct, frozen=True):
    """A message that was refused, where it stands in the file, and why."""

    where: str
    id: str | None
    message: str


class ReasonCount(msgspec.Struct, frozen=True):
    """Why messages were ignored, or what of evidence was not taken as it stood, and of how many messages."""

    status: str
    reason: str
    messages: int


class IngestedMessages(msgspec.Struct, frozen=True):
    """What the messages of a file became.

    ``read`` is the sum of ``evidence``, ``ignored`` and ``refused``. ``applied`` counts the events that were new; None
    if a running service folds them.
    """

    format: DoorName
    read: int
    evidence: int
    ignored: int
    refused: int
    events: int
    applied: int | None
    shifted_days: int
    reasons: list[ReasonCount]
    refusals: list[RefusedMessage]
    seconds: float
    messages_per_second: int


def messages_in_file(source: EventFile, door: DoorName) -> Iterator[tuple[str, object]]:
    """Each message with where it stands; a line or a file that is no JSON is its error.

    A file of lines is read line by line, each of which may hold one message or several; any other is one JSON value.
    Raises InvalidInput at the place where a compressed file is damaged.
    """
    first = next(source.lines(takes_list=True), None)
    if first is None:
        return
    if len(first[1]) > LONGEST_LINE or isinstance(_decoded(first[1]), InvalidInput):
        yield from messages_of(documents_in(source.content()), door)
    else:
        lines = source.lines(takes_list=True)
        yield from messages_of(((f"line {number}", _decoded(line)) for number, line in lines), door)


def _decoded(line: bytes) -> object:
    if len(line) > LONGEST_LINE:
        return InvalidInput("The line is longer than 1 MiB.")
    try:
        line.decode()
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return malformed(error, source=line)


class MessageFileReader:
    """Reads a file's messages in chunks, and counts what they become."""

    def __init__(
        self, engine: Engine, source: EventFile, tenant: str, door: DoorName, course_id: str | None = None
    ) -> None:
        """``course_id`` is the course of messages that name none."""
        self._course_id = course_id
        self._engine = engine
        self._source = source
        self._tenant = tenant
        self._door: DoorName = door
        self.days = 0
        self.statuses: Counter[str] = Counter()
        self.events = 0
        self.reasons: Counter[tuple[str, str]] = Counter()
        self._refusals: Refusals[RefusedMessage] = Refusals("message")

    def shift_to_now(self) -> None:
        """Move all times by whole days, so that the newest of a draft lies within the last 24 hours."""
        now, newest = self._engine.clock(), None
        try:
            for _, message in messages_in_file(self._source, self._door):
                for draft in self._translated(message).drafts:
                    if draft.timestamp is not None:
                        at = moment_of(draft.timestamp)
                        newest = at if newest is None else max(newest, at)
        except InvalidInput:
            pass  # the damage is reported when the messages are ingested
        self.days = 0 if newest is None else (now - newest) // DAY

    async def chunks(self, on_progress: Callable[[float], None]) -> AsyncIterator[Chunk]:
        """The events that may count; refused messages are named on stderr. ``on_progress`` gets the bytes read."""
        messages = messages_in_file(self._source, self._door)
        damage: InvalidInput | None = None
        while damage is None:
            part: list[tuple[str, Translation]] = []
            try:
                part.extend((where, self._translated(message)) for where, message in islice(messages, AT_ONCE))
            except InvalidInput as error:
                damage = error
            if not part:
                break
            on_progress(self._source.position)
            yield Chunk(await self._events_of(part))
        if damage is not None:
            self._count("the file", Translation("refused", reason=damage.message), [])
        self._refusals.close()

    def _translated(self, message: object) -> Translation:
        if isinstance(message, InvalidInput):
            return Translation("refused", reason=message.message)
        return self._engine.doorways.translated(self._door, message)

    async def _events_of(self, part: list[tuple[str, Translation]]) -> list[LearningEvent]:
        students = await self._engine.doorways.students_of(self._tenant, [one for _, one in part])
        events: list[LearningEvent] = []
        for where, translation in part:
            self._count(where, translation, [self._taken(draft, students, events) for draft in translation.drafts])
        return events

    def _taken(self, draft: Draft, students: dict[Identity, str], events: list[LearningEvent]) -> Receipt:
        """The outcome of a draft, whose event is added to ``events`` if it may count."""
        try:
            event, _ = event_in(
                0,
                draft.event(students[draft.identity], self._course_id),
                received=self._engine.clock(),
                tenant=self._tenant,
                days=self.days,
                rules_of=self._engine.courses.at_hand,
            )
            self._engine.consents.check_processing(key_of(event))
        except MasteryError as error:
            return Receipt(draft.event_id, "refused", Problem(error.code, error.message, error.field))
        events.append(event)
        return Receipt(event.event_id, "queued")

    def _count(self, where: str, translation: Translation, receipts: list[Receipt]) -> None:
        result = result_of(translation, iter(receipts))
        self.statuses[result.status] += 1
        self.events += len(result.events)
        if result.status == "refused":
            self._refusals.refuse(RefusedMessage(where, result.id, result.reason or ""), f"{where}: {result.reason}")
            return
        self._refusals.take_good()
        if result.reason is not None and (
            len(self.reasons) < MOST_REASONS or (result.status, result.reason) in self.reasons
        ):
            self.reasons[result.status, result.reason] += 1

    def done(self, applied: int | None, seconds: float) -> IngestedMessages:
        """What the messages became, once all are read."""
        read = self.statuses.total()
        return IngestedMessages(
            self._door,
            read,
            self.statuses["evidence"],
            self.statuses["ignored"],
            self.statuses["refused"],
            self.events,
            applied,
            self.days,
            [ReasonCount(status, reason, number) for (status, reason), number in self.reasons.most_common()],
            self._refusals.named,
            round(seconds, 3),
            round(read / seconds),
        )


def message_words(done: IngestedMessages) -> Iterator[str]:
    """What a file's messages became, for people."""
    yield (
        f"Read {counted(done.read, 'message')} of {done.format}: {done.evidence:,} evidence "
        f"({counted(done.events, 'event')}), {done.ignored:,} ignored, {done.refused:,} refused; "
        + what_of_accepted(done.events, done.applied)
        + f"{done.seconds:.1f} s, {done.messages_per_second:,} messages/s."
    )
    if done.shifted_days:
        yield f"All times were moved by {counted(done.shifted_days, 'day')}."
    for one in done.reasons:
        yield f"{one.status}, {one.messages:,} times: {one.reason}"
