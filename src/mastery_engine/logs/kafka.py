"""The log for many machines: Apache Kafka. One consumer group; offsets are committed last.

librdkafka's calls wait, so each client has a thread: one polls the producer, one is the consumer's alone. Between two
batches the consumer is polled, and only then partitions come and go: a batch under way is always finished first.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from mastery_engine.domain.events import DEFAULT_TENANT, LearningEvent, encode
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import Micros, rfc3339
from mastery_engine.domain.results import Result, message, topic_of
from mastery_engine.errors import MasteryError, TooLarge, Unavailable
from mastery_engine.logs.base import Batch, DeadLetter, Position, Record, Where
from mastery_engine.logs.kafka_dead import DeadLetters, bytes_of, cut, headers_of, letter_headers, stated_id, text_of
from mastery_engine.logs.kafka_settings import GROUP, KafkaSettings
from mastery_engine.logs.topics import DEAD_LETTERS_TOPIC, LARGEST_BYTES, REQUESTS_TOPIC, ensure_topics, topic_id

logger = logging.getLogger(__name__)
T = TypeVar("T")

ANSWER_S = 10.0
WAIT_S = 0.25
IDLE_ROUNDS = 4
DELIVERY_MS = 8_000
SOURCE = "mastery-engine"

_LOST = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._STATE,
    KafkaError._NO_OFFSET,
    KafkaError._ASSIGNMENT_LOST,
}
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

    async def log_id(self) -> str:
        if self._log_id is None:
            await asyncio.to_thread(ensure_topics, self._settings)
            self._log_id = await asyncio.to_thread(topic_id, self._settings)
        return self._log_id

    async def append(self, events: Sequence[LearningEvent]) -> list[Position]:
        await self.log_id()
        return await self._sender.send(
            [(REQUESTS_TOPIC, event.student_id.encode(), encode(event), _headers_in(event)) for event in events]
        )

    async def publish(self, results: Sequence[Result]) -> None:
        sent = []
        for result in results:
            told = message(result)
            headers = {
                "ce_specversion": "1.0",
                "ce_id": told.event_id,
                "ce_source": SOURCE,
                "ce_type": told.event_type,
                "ce_time": told.timestamp,
                "ce_subject": told.student_id,
                "content-type": "application/json",
                "tenant": told.tenant,
            }
            sent.append((topic_of(result), told.student_id.encode(), _encode(told), headers))
        await self._sender.send(sent)

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
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
            [(DEAD_LETTERS_TOPIC, letter.key, letter.value, letter_headers(letter)) for letter in letters]
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
        return await self._asker.ask(_ends)

    async def committed(self) -> dict[int, int]:
        return await self._asker.ask(_committed)

    async def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        found = await asyncio.to_thread(self._dead.all, await self.log_id())
        return [letter for letter in found if letter.letter_id > after][:limit]

    async def dead_letter(self, letter_id: int) -> DeadLetter | None:
        found = await asyncio.to_thread(self._dead.all, await self.log_id())
        return next((letter for letter in found if letter.letter_id == letter_id), None)

    async def redrive(self, letter_id: int, at: Micros) -> Position | None:
        letter = await self.dead_letter(letter_id)
        if letter is None or letter.redriven is not None:
            return None
        headers = {"event_id": letter.event_id or ""} | letter.headers
        (position,) = await self._sender.send([(REQUESTS_TOPIC, letter.key, letter.value, headers)])
        marker = {"dlq.redriven": str(letter_id), "dlq.at": rfc3339(at)}
        await self._sender.send([(DEAD_LETTERS_TOPIC, letter.key, None, marker)])
        return position

    async def purge(self, before: Micros) -> int:
        """Records on Kafka cannot be taken out singly: they age out by the topics' retention."""
        del before
        return 0

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


class Asker:
    """Asks Kafka one thing after another, through a client that is in no group and has a thread of its own."""

    def __init__(self, settings: KafkaSettings, name: str) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, name)
        self._client: Consumer | None = None

    async def ask(self, question: Callable[[Consumer], T]) -> T:
        """The answer. Raises Unavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._asked, question)

    def _asked(self, question: Callable[[Consumer], T]) -> T:
        if self._client is None:
            self._client = Consumer(self._settings.client(**{"group.id": GROUP, "enable.auto.commit": False}))
        try:
            return question(self._client)
        except KafkaException as error:
            raise _away(error) from error

    async def close(self) -> None:
        if self._client is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._client.close)
        self._thread.shutdown()


class Sender:
    """The producer: idempotent, every replica acknowledges. One that Kafka has fenced is replaced."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer = self._made()
        self._broken = False
        self._open = True
        self._thread = threading.Thread(target=self._poll, name="kafka-producer", daemon=True)
        self._thread.start()

    def _made(self) -> Producer:
        return Producer(
            self._settings.client(
                **{
                    "enable.idempotence": True,
                    "acks": "all",
                    "compression.type": "lz4",
                    "linger.ms": 2,
                    "delivery.timeout.ms": DELIVERY_MS,
                    "queue.buffering.max.messages": 500_000,
                    "message.max.bytes": LARGEST_BYTES,
                }
            )
        )

    def _poll(self) -> None:
        while self._open:
            self._producer.poll(0.1)

    async def send(
        self, messages: Sequence[tuple[str, bytes | None, bytes | None, Mapping[str, str]]]
    ) -> list[Position]:
        """Send; durable on return, positions in order. Raises Unavailable; some may have gone out then."""
        if not messages:
            return []
        if self._broken:
            self._producer, self._broken = self._made(), False
        delivery = Delivery(len(messages), self._fenced)
        for place, (topic, key, value, headers) in enumerate(messages):
            try:
                self._producer.produce(
                    topic, value, key, headers=bytes_of(headers), on_delivery=partial(delivery.delivered, place)
                )
            except (BufferError, KafkaException) as error:
                delivery.failed(error, len(messages) - place)
                break
        return await delivery.done

    def _fenced(self) -> None:
        self._broken = True

    async def close(self) -> None:
        await asyncio.to_thread(self._producer.flush, ANSWER_S)
        self._open = False
        await asyncio.to_thread(self._thread.join)


class Delivery:
    """What became of messages sent together; told in the producer's thread, awaited in the loop."""

    def __init__(self, number: int, fenced: Callable[[], None]) -> None:
        self._fenced = fenced
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[list[Position]] = self._loop.create_future()
        self._left = number
        self._lock = threading.Lock()
        self._error: Exception | None = None
        self._positions = [Position(-1, -1)] * number

    def delivered(self, place: int, error: KafkaError | None, sent: Message) -> None:
        if error is not None:
            self.failed(KafkaException(error), 1)
            return
        self._positions[place] = Position(sent.partition() or 0, sent.offset() or 0)
        self._count(1)

    def failed(self, error: Exception, number: int) -> None:
        self._error = error
        reason = error.args[0] if error.args else None
        if isinstance(reason, KafkaError) and (reason.fatal() or reason.code() == KafkaError._FATAL):
            self._fenced()
        self._count(number)

    def _count(self, number: int) -> None:
        with self._lock:
            self._left -= number
            if self._left:
                return
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        if self.done.done():
            return
        if self._error is None:
            self.done.set_result(self._positions)
        else:
            self.done.set_exception(_away(self._error))


class Reader:
    """The consumer, in a thread of its own. It keeps its place in the group through faults of other things."""

    def __init__(
        self,
        settings: KafkaSettings,
        log_id: str,
        batch_size: int,
        committed: Callable[[], Awaitable[Mapping[int, int]]],
        rebalanced: Callable[[], None],
    ) -> None:
        """``committed`` asks through another client: this one gets no answer while partitions move."""
        self._committed = committed
        self._rebalanced = rebalanced
        self._closing = False
        self._log_id = log_id
        self._batch_size = batch_size
        self._thread = ThreadPoolExecutor(1, "kafka-consumer")
        self._positions: dict[int, int] = {}
        self._owed: dict[int, int] = {}
        self._fault: Exception | None = None
        self._where: Where | None = None
        self._loop = asyncio.get_running_loop()
        self._subscribed = False
        self._consumer = Consumer(
            settings.client(
                **{
                    "group.id": GROUP,
                    "group.protocol": "classic",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "partition.assignment.strategy": "cooperative-sticky",
                    "session.timeout.ms": settings.session_timeout_ms,
                    "heartbeat.interval.ms": max(settings.session_timeout_ms // 5, 200),
                    "max.poll.interval.ms": 600_000,
                    "isolation.level": "read_committed",
                    "fetch.wait.max.ms": 50,
                    "queued.max.messages.kbytes": 65_536,
                }
            )
        )

    async def start(self, where: Where) -> None:
        """Read from where ``where`` says, in all partitions that are ours now or later."""
        self._where = where
        self._fault = None
        if self._positions:
            starts = await self._starts(where, list(self._positions))
            await self._run(partial(self._seek, dict(starts)))
        elif not self._subscribed:
            self._subscribed = True
            await self._run(
                partial(
                    self._consumer.subscribe,
                    [REQUESTS_TOPIC],
                    on_assign=self._assigned,
                    on_revoke=self._revoked,
                    on_lost=self._revoked,
                )
            )

    async def read(self) -> Batch | None:
        """What there is, or None after a while. Raises Unavailable."""
        batch = await self._run(self._read)
        if self._fault is not None:
            raise self._fault
        return batch

    async def commit(self, ends: Mapping[int, int]) -> None:
        def committed() -> None:
            self._owed |= {part: end for part, end in ends.items() if part in self._positions}
            if self._owed:
                self._commit()

        await self._run(committed)

    def _commit(self) -> None:
        """Commit what is owed. While partitions move Kafka takes no offsets: those that stay ours are owed still."""
        try:
            self._consumer.commit(
                offsets=[TopicPartition(REQUESTS_TOPIC, part, end) for part, end in self._owed.items()],
                asynchronous=False,
            )
        except KafkaException as error:
            if error.args[0].code() not in _LOST:
                raise
            logger.info("offsets wait, or went to another worker: %s", error)
        else:
            self._owed.clear()

    async def close(self) -> None:
        self._closing = True
        await self._loop.run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown()

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await self._loop.run_in_executor(self._thread, call)
        except KafkaException as error:
            raise _away(error) from error

    def _read(self) -> Batch | None:
        first = self._consumer.poll(WAIT_S)
        if self._owed:
            self._commit()
        if first is None or self._fault is not None:
            return None
        messages = [first, *self._consumer.consume(self._batch_size - 1, 0)]
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        records: list[Record] = []
        for one in messages:
            fault = one.error()
            if fault is not None:
                raise KafkaException(fault)
            partition, offset = one.partition() or 0, one.offset() or 0
            if partition not in self._positions:
                continue
            starts.setdefault(partition, self._positions[partition])
            ends[partition] = self._positions[partition] = offset + 1
            records.append(record_of(one, self._log_id))
        return Batch(tuple(records), starts, ends)

    async def _starts(self, where: Where, partitions: Sequence[int]) -> Mapping[int, int]:
        committed = await self._committed()
        return await where({partition: committed.get(partition, 0) for partition in partitions})

    def _seek(self, starts: Mapping[int, int]) -> None:
        ours = [partition for partition in starts if partition in self._positions]
        self._consumer.incremental_unassign([TopicPartition(REQUESTS_TOPIC, partition) for partition in ours])
        self._consumer.incremental_assign(
            [TopicPartition(REQUESTS_TOPIC, partition, starts[partition]) for partition in ours]
        )
        self._positions |= {partition: starts[partition] for partition in ours}

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Called by ``poll``, in the consumer's thread: the loop is free to say where to begin."""
        numbers = [one.partition for one in partitions]
        self._rebalanced()
        try:
            if self._where is None or self._closing:
                raise Unavailable("Nobody reads this log now.")
            starts = asyncio.run_coroutine_threadsafe(self._starts(self._where, numbers), self._loop).result(60)
        except Exception as error:  # noqa: BLE001  it is raised where the batch is asked for
            self._fault = _away(error)
            starts = dict.fromkeys(numbers, 0)
        consumer.incremental_assign([TopicPartition(REQUESTS_TOPIC, number, starts[number]) for number in numbers])
        self._positions |= {number: starts[number] for number in numbers}

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        del consumer
        self._rebalanced()
        for one in partitions:
            self._positions.pop(one.partition, None)
            self._owed.pop(one.partition, None)


def _untold() -> None:
    """Nobody counts."""


def record_of(one: Message, log_id: str) -> Record:
    """A record of Kafka as the log gives it; what may serve as the event's id is found here."""
    headers = headers_of(one)
    partition, offset, value = one.partition() or 0, one.offset() or 0, one.value()
    derived = derived_id("kafka", log_id, str(partition), str(offset))
    return Record(
        partition=partition,
        offset=offset,
        received=one.timestamp()[1] * 1_000,
        tenant=text_of(headers.get("tenant") or DEFAULT_TENANT),
        key=one.key(),
        value=value,
        event_id=stated_id(headers, value) or derived,
        headers=headers,
    )


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


def _ends(asker: Consumer) -> dict[int, int]:
    return {
        partition: asker.get_watermark_offsets(TopicPartition(REQUESTS_TOPIC, partition), timeout=ANSWER_S)[1]
        for partition in _partitions(asker)
    }


def _committed(asker: Consumer) -> dict[int, int]:
    asked = [TopicPartition(REQUESTS_TOPIC, partition) for partition in _partitions(asker)]
    return {one.partition: max(one.offset, 0) for one in asker.committed(asked, timeout=ANSWER_S)}


def _partitions(asker: Consumer) -> list[int]:
    return sorted(asker.list_topics(REQUESTS_TOPIC, timeout=ANSWER_S).topics[REQUESTS_TOPIC].partitions)


def _away(error: Exception) -> Exception:
    if isinstance(error, MasteryError):
        return error
    reason = error.args[0] if error.args else None
    if isinstance(reason, KafkaError) and reason.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return TooLarge("This is more than Kafka takes as one record: see max.message.bytes of the topic.")
    return Unavailable(f"Kafka is away ({error.args[0] if error.args else type(error).__name__}): nothing was lost.")
