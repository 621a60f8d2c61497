"""A topic of Kafka that another platform writes, read by a consumer group of its own, in a thread of its own."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from mastery_engine.backends.kafka.asker import Asker, committed_of, ends_of
from mastery_engine.backends.kafka.faults import Complaints, as_engine_error, new_client
from mastery_engine.backends.kafka.reader import LOST, WAIT_S
from mastery_engine.backends.kafka.records import record_of
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import Batch, Record

T = TypeVar("T")

PLATFORM_GROUP = "mastery-engine-openedx-v1"
LOOKS_MS = 10_000  # how soon a topic is seen that was not there
_NOT_THERE = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}
_NOT_PERMITTED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}


def words_for(fault: KafkaError, name: str) -> str | None:
    """What is wrong with a platform's topic, and what to do; None where the fault is Kafka's and not the topic's."""
    if fault.code() in _NOT_THERE:
        return (
            f"Kafka has no topic {name}, or does not show it to this user: look at OPENEDX_TOPIC, and permit the user "
            f"to read it as the group {PLATFORM_GROUP}."
        )
    if fault.code() in _NOT_PERMITTED:
        return (
            f"Kafka does not permit its user to read the topic {name} (OPENEDX_TOPIC): permit Read and Describe on it, "
            f"and Read on the group {PLATFORM_GROUP}."
        )
    return None


class KafkaPlatformTopic:
    """See ``PlatformTopic``. The group is joined by the first reading."""

    def __init__(self, settings: KafkaSettings, name: str, *, batch_size: int) -> None:
        """``batch_size`` is the most that one batch holds."""
        self._settings = settings
        self._name = name
        self._batch_size = batch_size
        self._thread = ThreadPoolExecutor(1, "kafka-platform")
        self._asker = Asker(settings, "kafka-platform-lag", group=PLATFORM_GROUP)
        self._consumer: Consumer | None = None
        self._complaints = Complaints()
        self._fault: KafkaError | None = None
        self._owed: dict[int, int] = {}
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    async def read(self) -> Batch | None:
        return await self._run(self._read)

    def _joined(self) -> Consumer:
        consumer = new_client(
            Consumer,
            self._settings.client(
                **{
                    "group.id": PLATFORM_GROUP,
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "partition.assignment.strategy": "cooperative-sticky",
                    "session.timeout.ms": self._settings.session_timeout_ms,
                    "heartbeat.interval.ms": max(self._settings.session_timeout_ms // 5, 200),
                    "max.poll.interval.ms": 600_000,
                    "isolation.level": "read_committed",
                    "topic.metadata.refresh.interval.ms": LOOKS_MS,
                },
                error_cb=self._complaints,
            ),
        )
        consumer.subscribe([self._name])
        return consumer

    def _read(self) -> Batch | None:
        """A fault is told after the records that came with it: the consumer is past those, and gives them once."""
        if self._consumer is None:
            self._consumer = self._joined()
        if self._owed:
            self._commit(self._consumer)
        self._raise_fault()
        records: list[Record] = []
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        for message in self._consumer.consume(self._batch_size, WAIT_S):
            fault = message.error()
            if fault is not None:
                self._fault = fault
                continue
            record = record_of(message, self._name)
            starts.setdefault(record.partition, record.offset)
            ends[record.partition] = record.offset + 1
            records.append(record)
        if records:
            return Batch(tuple(records), starts, ends)
        self._raise_fault()
        return None

    def _raise_fault(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            raise KafkaException(fault)

    async def commit(self, ends: Mapping[int, int]) -> None:
        """Partitions that went to another reader meanwhile are theirs: it reads again what was not committed."""

        def committed() -> None:
            self._owed |= ends
            if self._consumer is not None:
                self._commit(self._consumer)

        await self._run(committed)

    def _commit(self, consumer: Consumer) -> None:
        """Commit what is owed. While partitions move Kafka takes no offsets: those that stay ours are owed still."""
        ours = {one.partition for one in consumer.assignment()}
        self._owed = {partition: end for partition, end in self._owed.items() if partition in ours}
        offsets = [TopicPartition(self._name, partition, end) for partition, end in self._owed.items()]
        try:
            if offsets:
                consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in LOST:
                raise
        else:
            self._owed.clear()

    async def lag(self) -> int:
        return await self._asker.ask(partial(_lag_of, topic=self._name))

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._asker.close()
        if self._consumer is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown()

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except KafkaException as error:
            words = words_for(error.args[0], self._name)
            if words is not None:
                raise Unavailable(words) from error
            raise as_engine_error(error, self._complaints) from error
        self._complaints.clear()
        return answer


def _lag_of(client: Consumer, topic: str) -> int:
    ends = ends_of(client, topic)
    if not ends:
        raise Unavailable(f"Kafka has no topic {topic}, or does not show it to this user.")
    committed = committed_of(client, topic)
    return sum(max(end - committed.get(partition, 0), 0) for partition, end in ends.items())
