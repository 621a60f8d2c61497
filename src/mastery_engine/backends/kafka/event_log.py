"""The log for many machines: Apache Kafka. One consumer group; offsets are committed last.

librdkafka's calls wait, so each client has a thread: see ``kafka_sender`` and ``kafka_reader``.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from confluent_kafka import Consumer

from mastery_engine.backends.kafka.consent_ledger import ConsentTopic, stays
from mastery_engine.backends.kafka.dead_letters import (
    ATTEMPTS,
    DeadLetters,
    bytes_of,
    cut,
    letter_headers,
    records_of,
    redrive_marker,
)
from mastery_engine.backends.kafka.group import members_of
from mastery_engine.backends.kafka.reader import Asker, Reader, committed_of, ends_of, record_of
from mastery_engine.backends.kafka.sender import Sender
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import CONSENT_TOPIC, DEAD_LETTERS_TOPIC
from mastery_engine.backends.kafka.topics import ensure_topics, topic_id
from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import peek
from mastery_engine.domain.events.event import LearningEvent, encode
from mastery_engine.domain.events.traceparent import TRACEPARENT
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.domain.results import Result, message, topic_of
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import TooLarge
from mastery_engine.ports.event_log import (
    NO_TRACES,
    REQUESTS_TOPIC,
    Batch,
    ConsentRecord,
    DeadLetter,
    Fading,
    Position,
    Record,
    Where,
)

T = TypeVar("T")

IDLE_ROUNDS = 4
REDRIVEN_AT_ONCE = 100  # a crash between these and their marks has them put back again, under their ids
SOURCE = "mastery-engine"

_encode = msgspec.json.Encoder().encode


class KafkaLog:
    """See ``EventLog``. ``batch_size`` is the most that one batch holds."""

    def __init__(
        self, settings: KafkaSettings, *, batch_size: int = 500, rebalanced: Callable[[], None] | None = None
    ) -> None:
        """``rebalanced`` is told, in any thread, when partitions have come or gone."""
        self._settings = settings
        self._batch_size = batch_size
        self._rebalanced = rebalanced or _untold
        self._sender = Sender(settings)
        self._asker, self._pinger = Asker(settings, "kafka-asker"), Asker(settings, "kafka-pinger")
        self._reader: Reader | None = None
        self._log_id: str | None = None
        self._dead = DeadLetters(settings)
        self._consent = ConsentTopic(settings)

    async def log_id(self) -> str:
        if self._log_id is None:
            await asyncio.to_thread(ensure_topics, self._settings)
            self._log_id = await asyncio.to_thread(topic_id, self._settings)
        return self._log_id

    async def append(self, events: Sequence[LearningEvent], traceparent: str | None = None) -> list[Position]:
        await self.log_id()
        traced = {} if traceparent is None else {TRACEPARENT: traceparent}
        return await self._sender.send(
            [
                (REQUESTS_TOPIC, event.student_id.encode(), encode(event), bytes_of(_headers_in(event) | traced))
                for event in events
            ]
        )

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        await self.log_id()
        sent = []
        for result in results:
            told = message(result)
            headers: dict[str, str | bytes | None] = {
                "ce_specversion": "1.0",
                "ce_id": told.event_id,
                "ce_source": SOURCE,
                "ce_type": told.event_type,
                "ce_time": told.timestamp,
                "ce_subject": told.student_id,
                "content-type": "application/json",
                "tenant": told.tenant,
            }
            if told.event_id in traceparents:
                headers[TRACEPARENT] = traceparents[told.event_id]
            sent.append((topic_of(result), told.student_id.encode(), _encode(told), headers))
        await self._sender.send(sent)

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        await self.log_id()
        try:
            await self._bury(letters)
        except TooLarge:
            for letter in letters:
                try:
                    await self._bury([letter])
                except TooLarge:
                    await self._bury([cut(letter)])

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        await self._sender.send(
            [(DEAD_LETTERS_TOPIC, letter.key, letter.value, bytes_of(letter_headers(letter))) for letter in letters]
        )

    async def batches(self, where: Where) -> AsyncIterator[Batch | None]:
        log_id = await self.log_id()
        if self._reader is None:
            self._reader = Reader(self._settings, log_id, self._batch_size, self.committed, self._rebalanced)
        await self._reader.start(where)
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
        await self.log_id()
        return await self._asker.ask(ends_of)

    async def committed(self) -> dict[int, int]:
        await self.log_id()
        return await self._asker.ask(committed_of)

    async def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        found = await asyncio.to_thread(self._dead.all, await self.log_id())
        return [letter for letter in found if letter.letter_id > after][:limit]

    async def dead_letter(self, letter_id: int) -> DeadLetter | None:
        found = await asyncio.to_thread(self._dead.all, await self.log_id())
        return next((letter for letter in found if letter.letter_id == letter_id), None)

    async def redrive(self, letter_ids: Sequence[int], at: Micros) -> dict[int, Position]:
        known = {one.letter_id: one for one in await asyncio.to_thread(self._dead.all, await self.log_id())}
        chosen = [known[one] for one in dict.fromkeys(letter_ids) if one in known and known[one].redriven is None]
        found: dict[int, Position] = {}
        for start in range(0, len(chosen), REDRIVEN_AT_ONCE):
            letters = chosen[start : start + REDRIVEN_AT_ONCE]
            positions = await self._sender.send([(REQUESTS_TOPIC, *_redriven(letter)) for letter in letters])
            await self._sender.send([(DEAD_LETTERS_TOPIC, one.key, None, redrive_marker(one, at)) for one in letters])
            found |= {letter.letter_id: position for letter, position in zip(letters, positions, strict=True)}
        return found

    async def put_consent(self, name: str, value: bytes, at: Micros) -> None:
        """The time is the broker's, as that of the events is."""
        del at
        await self.log_id()
        await self._sender.send([(CONSENT_TOPIC, name.encode(), value, {})])

    async def consents(self, after: int) -> tuple[list[ConsentRecord], int]:
        await self.log_id()
        return await self._consent.after(after)

    async def held(self, key: StudentKey, *, scan: bool = False) -> list[Record] | None:
        if not scan:
            return None
        return [
            one
            async for page in self.pages()
            for one in page
            if one.tenant == key.tenant and _is_of(one, key.student_id)
        ]

    async def pages(self) -> AsyncIterator[Sequence[Record]]:
        found = await asyncio.to_thread(records_of, self._settings, REQUESTS_TOPIC)
        log_id = await self.log_id()
        yield [record_of(one, log_id) for one in found]

    async def erase(self, key: StudentKey) -> int:
        """Records on Kafka cannot be taken out singly: ``fading`` says how long they stay."""
        del key
        return 0

    async def scrub(self, positions: Sequence[Position]) -> None:
        """They stay, as those of ``erase`` do."""
        del positions

    async def fading(self, now: Micros) -> list[Fading]:
        return await asyncio.to_thread(stays, self._settings, now)

    async def purge(self, before: Micros) -> int:
        """Records on Kafka cannot be taken out singly: they age out by the topics' retention."""
        del before
        return 0

    async def workers(self) -> list[str]:
        """The group's members, by host; one that was killed is one until its session ends."""
        return await asyncio.to_thread(members_of, self._settings)

    async def ping(self) -> None:
        def reach(asker: Consumer) -> None:
            asker.list_topics(REQUESTS_TOPIC, timeout=2.0)

        await self._pinger.ask(reach)

    async def close(self) -> None:
        if self._reader is not None:
            await self._reader.close()
        await self._sender.close()
        await self._asker.close()
        await self._pinger.close()
        await self._consent.close()


def _untold() -> None:
    """Nobody counts."""


def _is_of(record: Record, student_id: str) -> bool:
    """Whether a record is the student's, by its key or by its content."""
    value = None if record.value is None else unwrap(record.value)[0]
    return record.key == student_id.encode() or peek(value)[0] == student_id


def _redriven(letter: DeadLetter) -> tuple[bytes | None, bytes | None, list[tuple[str, str | bytes | None]]]:
    """The record as it was, with its id and how often it was tried."""
    headers = {"event_id": letter.event_id or ""} | letter.headers | {ATTEMPTS: str(letter.attempts)}
    return letter.key, letter.value, bytes_of(headers)


def _headers_in(event: LearningEvent) -> dict[str, str]:
    return {
        "ce_specversion": "1.0",
        "ce_id": event.event_id,
        "ce_source": event.source or SOURCE,
        "ce_type": event.event_type,
        "ce_time": rfc3339(event.at),
        "ce_subject": event.student_id,
        "content-type": "application/json",
        "tenant": event.tenant,
    }
