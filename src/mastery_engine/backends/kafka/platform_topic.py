"""A topic of Kafka that another platform writes, read by a consumer group of its own, in a thread of its own."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from mastery_engine.backends.kafka.faults import as_engine_error
from mastery_engine.backends.kafka.reader import LOST, WAIT_S
from mastery_engine.backends.kafka.records import record_of
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import Batch, Record

T = TypeVar("T")

PLATFORM_GROUP = "mastery-engine-openedx-v1"
LOOKS_MS = 10_000  # how soon a topic is seen that was not there
_NOT_THERE = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}


class KafkaPlatformTopic:
    """See ``PlatformTopic``. The group is joined by the first reading."""

    def __init__(self, settings: KafkaSettings, name: str, *, batch_size: int) -> None:
        """``batch_size`` is the most that one batch holds."""
        self._settings = settings
        self._name = name
        self._batch_size = batch_size
        self._thread = ThreadPoolExecutor(1, "kafka-platform")
        self._consumer: Consumer | None = None
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    async def read(self) -> Batch | None:
        return await self._run(self._read)

    def _joined(self) -> Consumer:
        consumer = Consumer(
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
                }
            )
        )
        consumer.subscribe([self._name])
        return consumer

    def _read(self) -> Batch | None:
        if self._consumer is None:
            self._consumer = self._joined()
        records: list[Record] = []
        starts: dict[int, int] = {}
        ends: dict[int, int] = {}
        for message in self._consumer.consume(self._batch_size, WAIT_S):
            fault = message.error()
            if fault is not None:
                raise KafkaException(fault)
            record = record_of(message, self._name)
            starts.setdefault(record.partition, record.offset)
            ends[record.partition] = record.offset + 1
            records.append(record)
        return Batch(tuple(records), starts, ends) if records else None

    async def commit(self, ends: Mapping[int, int]) -> None:
        """Partitions that went to another reader meanwhile are theirs: it reads again what was not committed."""
        offsets = [TopicPartition(self._name, partition, end) for partition, end in ends.items()]
        await self._run(partial(self._commit, offsets))

    def _commit(self, offsets: list[TopicPartition]) -> None:
        if self._consumer is None:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in LOST:
                raise

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._consumer is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown()

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except KafkaException as error:
            if error.args[0].code() in _NOT_THERE:
                raise Unavailable(
                    f"Kafka has no topic {self._name}, or does not show it to this user: look at OPENEDX_TOPIC, and "
                    f"permit the user to read it as the group {PLATFORM_GROUP}."
                ) from error
            raise as_engine_error(error) from error
