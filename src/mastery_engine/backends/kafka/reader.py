"""The consumer, in a thread of its own.

Between two batches the consumer is polled, and only then partitions come and go: a batch under way is always folded
first. Its results may still be on their way then; whoever takes the partition over sends them again, under their ids.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from mastery_engine.backends.kafka.faults import as_engine_error, is_end
from mastery_engine.backends.kafka.records import record_of
from mastery_engine.backends.kafka.settings import GROUP, KafkaSettings
from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import REQUESTS_TOPIC, Batch, Record, StartOffsets

logger = logging.getLogger(__name__)
T = TypeVar("T")

WAIT_S = 0.25

LOST = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._STATE,
    KafkaError._NO_OFFSET,
    KafkaError._ASSIGNMENT_LOST,
}


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
        self._start_offsets: StartOffsets | None = None
        self._loop = asyncio.get_running_loop()
        self._subscribed = False
        self._consumer = Consumer(
            settings.client(
                **{
                    "group.id": GROUP,
                    "group.protocol": "classic",
                    "enable.auto.commit": False,
                    "auto.offset.reset": "earliest",
                    "enable.partition.eof": True,
                    "partition.assignment.strategy": "cooperative-sticky",
                    "session.timeout.ms": settings.session_timeout_ms,
                    "heartbeat.interval.ms": max(settings.session_timeout_ms // 5, 200),
                    "max.poll.interval.ms": 600_000,
                    "isolation.level": "read_committed",
                    "fetch.wait.max.ms": 50,
                    "queued.max.messages.kbytes": 16_384,
                    "fetch.queue.backoff.ms": 20,
                }
            )
        )

    async def start(self, start_offsets: StartOffsets) -> None:
        """Read from where ``start_offsets`` says, in all partitions that are ours now or later."""
        self._start_offsets = start_offsets
        self._fault = None
        if self._positions:
            starts = await self._starts(start_offsets, list(self._positions))
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
            if error.args[0].code() not in LOST:
                raise
            logger.info("offsets wait, or went to another worker: %s", error)
        else:
            self._owed.clear()

    async def close(self) -> None:
        """Leave the group; may be called twice."""
        if self._closing:
            return
        self._closing = True
        await self._loop.run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown()

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await self._loop.run_in_executor(self._thread, call)
        except KafkaException as error:
            raise as_engine_error(error) from error

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
        for message in messages:
            is_record = not is_end(message)
            partition, offset = message.partition() or 0, message.offset() or 0
            position = self._positions.get(partition)
            if position is None or not (is_record or offset > position):
                continue
            if partition not in starts:
                starts[partition] = position
            ends[partition] = self._positions[partition] = offset + is_record
            if is_record:
                records.append(record_of(message, self._log_id))
        return Batch(tuple(records), starts, ends) if ends else None

    async def _starts(self, start_offsets: StartOffsets, partitions: Sequence[int]) -> Mapping[int, int]:
        committed = await self._committed()
        return await start_offsets({partition: committed.get(partition, 0) for partition in partitions})

    def _seek(self, starts: Mapping[int, int]) -> None:
        ours = [partition for partition in starts if partition in self._positions]
        self._consumer.incremental_unassign([TopicPartition(REQUESTS_TOPIC, partition) for partition in ours])
        self._consumer.incremental_assign(
            [TopicPartition(REQUESTS_TOPIC, partition, starts[partition]) for partition in ours]
        )
        self._positions |= {partition: starts[partition] for partition in ours}

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Called by ``poll``, in the consumer's thread: the loop is free to say where to begin."""
        numbers = [assigned.partition for assigned in partitions]
        self._rebalanced()
        try:
            if self._start_offsets is None or self._closing:
                raise Unavailable("Nobody reads this log now.")
            starts = asyncio.run_coroutine_threadsafe(self._starts(self._start_offsets, numbers), self._loop).result(60)
        except Exception as error:  # noqa: BLE001  it is raised where the batch is asked for
            self._fault = as_engine_error(error)
            starts = dict.fromkeys(numbers, 0)
        consumer.incremental_assign([TopicPartition(REQUESTS_TOPIC, number, starts[number]) for number in numbers])
        self._positions |= {number: starts[number] for number in numbers}

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        del consumer
        self._rebalanced()
        for revoked in partitions:
            self._positions.pop(revoked.partition, None)
            self._owed.pop(revoked.partition, None)
