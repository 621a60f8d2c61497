"""The log of events on many machines: a topic of Apache Kafka, worked by one consumer group."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from mastery_engine.backends.kafka.asker import Asker, committed_of, ends_of
from mastery_engine.backends.kafka.group import members_of
from mastery_engine.backends.kafka.headers import SOURCE, bytes_of, cloudevent_headers
from mastery_engine.backends.kafka.reader import Reader
from mastery_engine.backends.kafka.records import pages_of, record_of
from mastery_engine.backends.kafka.sender import Sender
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import longest_retention
from mastery_engine.backends.kafka.topics import KafkaTopics
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import peek
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.traceparent import TRACEPARENT
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.event_log import (
    REQUESTS_TOPIC,
    Batch,
    Position,
    Record,
    RetainedUntil,
    StartOffsets,
    kept_values,
)

IDLE_ROUNDS = 4


class KafkaEventLog:
    """See ``EventLog``. ``batch_size`` is the most that one batch holds."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: KafkaTopics,
        sender: Sender,
        asker: Asker,
        *,
        batch_size: int = 500,
        rebalanced: Callable[[], None] | None = None,
    ) -> None:
        """``rebalanced`` is called, in any thread, when partitions have come or gone."""
        self._settings = settings
        self._topics = topics
        self._sender = sender
        self._asker = asker
        self._batch_size = batch_size
        self._rebalanced = rebalanced or _ignore
        self._reader: Reader | None = None

    async def log_id(self) -> str:
        return await self._topics.log_id()

    async def append(
        self,
        events: Sequence[LearningEvent],
        traceparent: str | None = None,
        values: Sequence[bytes | None] | None = None,
    ) -> list[Position]:
        await self._topics.log_id()
        trace = {} if traceparent is None else {TRACEPARENT: traceparent}
        return await self._sender.send(
            [
                (REQUESTS_TOPIC, event.student_id.encode(), value, bytes_of(_headers(event) | trace))
                for event, value in zip(events, kept_values(events, values), strict=True)
            ]
        )

    async def batches(self, start_offsets: StartOffsets) -> AsyncIterator[Batch | None]:
        """The first call joins the consumer group; ``close`` leaves it."""
        log_id = await self._topics.log_id()
        if self._reader is None:
            self._reader = Reader(self._settings, log_id, self._batch_size, self.committed, self._rebalanced)
        await self._reader.start(start_offsets)
        idle = 0
        while True:
            batch = await self._reader.read()
            idle = 0 if batch else idle + 1
            if batch:
                yield batch
            elif idle % IDLE_ROUNDS == 0:
                yield None

    async def commit(self, ends: Mapping[int, int]) -> None:
        if self._reader is not None:
            await self._reader.commit(ends)

    async def ends(self) -> dict[int, int]:
        await self._topics.log_id()
        return await self._asker.ask(ends_of)

    async def committed(self) -> dict[int, int]:
        await self._topics.log_id()
        return await self._asker.ask(committed_of)

    async def events_of(self, key: StudentKey, *, scan: bool = False) -> list[Record] | None:
        if not scan:
            return None
        return [record async for page in self.pages() for record in page if _is_of(record, key)]

    async def pages(self) -> AsyncIterator[Sequence[Record]]:
        log_id = await self._topics.log_id()
        messages = pages_of(self._settings, REQUESTS_TOPIC)
        try:
            while (page := await asyncio.to_thread(next, messages, None)) is not None:
                yield [record_of(message, log_id) for message in page]
        finally:
            await asyncio.to_thread(messages.close)

    async def erase(self, key: StudentKey) -> int:
        """Records on Kafka cannot be taken out singly: ``retained_until`` says how long they stay."""
        del key
        return 0

    async def scrub(self, positions: Sequence[Position]) -> None:
        """They stay, as those of ``erase`` do."""
        del positions

    async def retained_until(self, now: Micros) -> list[RetainedUntil]:
        longest = await asyncio.to_thread(longest_retention, self._settings)
        return [RetainedUntil(f"topic {name}", None if stay is None else now + stay) for name, stay in longest.items()]

    async def purge(self, before: Micros) -> int:
        """Records on Kafka cannot be taken out singly: they age out by the topics' retention."""
        del before
        return 0

    async def workers(self) -> list[str]:
        """The group's members, by host; one that was killed is one until its session ends."""
        return await asyncio.to_thread(members_of, self._settings)

    async def close(self) -> None:
        """Leave the consumer group; may be called twice."""
        if self._reader is not None:
            await self._reader.close()


def _ignore() -> None:
    """Nobody counts."""


def _is_of(record: Record, key: StudentKey) -> bool:
    """Whether a record is the student's, by its key or by its content."""
    if record.tenant != key.tenant:
        return False
    value = None if record.value is None else unwrap(record.value)[0]
    return record.key == key.student_id.encode() or peek(value).student_id == key.student_id


def _headers(event: LearningEvent) -> dict[str, str]:
    return cloudevent_headers(
        event.event_id, event.source or SOURCE, event.event_type, rfc3339(event.at), event.student_id, event.tenant
    )
