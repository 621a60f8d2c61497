"""Clients outside the consumer group, which only ask."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from mastery_engine.backends.kafka.faults import ANSWER_S, Complaints, as_engine_error, new_client, when_settled
from mastery_engine.backends.kafka.settings import GROUP, KafkaSettings
from mastery_engine.ports.event_log import REQUESTS_TOPIC

T = TypeVar("T")


class Asker:
    """Asks Kafka one thing after another, through a client that is in no group and has a thread of its own."""

    def __init__(self, settings: KafkaSettings, name: str, *, group: str = GROUP) -> None:
        """``name`` is the thread's; ``group`` is that whose offsets are asked for."""
        self._settings = settings
        self._group = group
        self._thread = ThreadPoolExecutor(1, name)
        self._client: Consumer | None = None
        self._complaints = Complaints()

    async def ask(self, question: Callable[[Consumer], T]) -> T:
        """The answer. Raises Unavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, question)

    def _ask(self, question: Callable[[Consumer], T]) -> T:
        if self._client is None:
            outside = {"group.id": self._group, "enable.auto.commit": False, "enable.partition.eof": True}
            self._client = new_client(Consumer, self._settings.client(**outside, error_cb=self._complaints))
        try:
            answer = when_settled(partial(question, self._client))
        except KafkaException as error:
            self._client.poll(0)  # so that it makes its complaints
            raise as_engine_error(error, self._complaints) from error
        self._complaints.clear()
        return answer

    async def close(self) -> None:
        """May be called twice."""
        client, self._client = self._client, None
        if client is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, client.close)
        self._thread.shutdown()


def ends_of(client: Consumer, topic: str = REQUESTS_TOPIC) -> dict[int, int]:
    """For each partition of a topic, by default the log, the offset that the next record will get."""
    return {
        partition: client.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S)[1]
        for partition in _partitions(client, topic)
    }


def committed_of(client: Consumer, topic: str = REQUESTS_TOPIC) -> dict[int, int]:
    """For each partition of a topic, what the group of the client has committed; 0 where that is nothing."""
    partitions = [TopicPartition(topic, partition) for partition in _partitions(client, topic)]
    return {
        committed.partition: max(committed.offset, 0) for committed in client.committed(partitions, timeout=ANSWER_S)
    }


def _partitions(client: Consumer, topic: str) -> list[int]:
    return sorted(client.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions)
