"""What every backend promises of a topic that another platform writes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from mastery_engine.backends.kafka.logs import open_logs
from mastery_engine.backends.kafka.platform_topic import KafkaPlatformTopic
from mastery_engine.backends.kafka.platform_topic_dangers import PlatformTopicWatch
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.memory.platform_topic import MemoryPlatformTopic
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Danger
from mastery_engine.ports.event_log import Batch, Record
from mastery_engine.ports.platform_topic import PlatformTopic
from scripts.servers.kafka import Kafka
from tests.support.fleet import with_topic


class World(NamedTuple):
    """A topic: ``write`` appends values, ``reader`` opens it as another worker."""

    write: Callable[[Sequence[bytes]], None]
    reader: Callable[[], PlatformTopic]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.xdist_group("kafka"))])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    opened: list[PlatformTopic] = []
    if request.param == "memory":
        topic = MemoryPlatformTopic()

        def write(values: Sequence[bytes]) -> None:
            first = len(topic.records)
            topic.records += [
                Record(0, first + place, 0, "default", None, value, "") for place, value in enumerate(values)
            ]

        def reader() -> PlatformTopic:
            return topic

        yield World(write, reader)
        return
    server: Kafka = request.getfixturevalue("kafka")
    name = with_topic(server, f"openedx-{uuid4()}")

    def produce(values: Sequence[bytes]) -> None:
        producer = Producer({"bootstrap.servers": server.bootstrap})
        for value in values:
            producer.produce(name, value, headers={"tenant": b"default"})
        assert producer.flush(20) == 0

    def joined() -> PlatformTopic:
        opened.append(KafkaPlatformTopic(KafkaSettings(server.bootstrap, session_timeout_ms=2_000), name, batch_size=4))
        return opened[-1]

    yield World(produce, joined)
    for one in opened:
        await one.close()


async def batch_of(topic: PlatformTopic) -> Batch:
    async with asyncio.timeout(30):
        while True:
            batch = await topic.read()
            if batch is not None:
                return batch


async def values_of(topic: PlatformTopic, number: int) -> list[bytes | None]:
    found: list[bytes | None] = []
    while len(found) < number:
        batch = await batch_of(topic)
        assert set(batch.ends) == {one.partition for one in batch.records}
        found += [one.value for one in batch.records]
        await topic.commit(batch.ends)
    return found


async def test_what_is_written_is_read_in_order_and_once(world: World) -> None:
    world.write([b"a", b"b", b"c", b"d", b"e", b"f"])
    topic = world.reader()
    assert await values_of(topic, 6) == [b"a", b"b", b"c", b"d", b"e", b"f"]
    assert await topic.read() is None
    world.write([b"g"])
    assert await values_of(topic, 1) == [b"g"]


async def test_who_reads_anew_begins_where_was_committed(world: World) -> None:
    world.write([b"a"])
    first = world.reader()
    assert await values_of(first, 1) == [b"a"]
    world.write([b"b"])
    assert [one.value for one in (await batch_of(first)).records] == [b"b"]  # and does not commit it
    await first.close()
    await first.close()
    assert await values_of(world.reader(), 1) == [b"b"]


@pytest.mark.xdist_group("kafka")
async def test_a_topic_that_is_not_there_yet_is_read_once_it_is(kafka: Kafka) -> None:
    name = f"openedx-{uuid4()}"
    topic = KafkaPlatformTopic(KafkaSettings(kafka.bootstrap), name, batch_size=4)
    try:
        assert topic.name == name
        with pytest.raises(Unavailable, match="OPENEDX_TOPIC"):
            await batch_of(topic)
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        producer.produce(with_topic(kafka, name), b"a")
        assert producer.flush(20) == 0
        async with asyncio.timeout(30):
            found = None
            while found is None:
                try:
                    found = await topic.read()
                except Unavailable:
                    await asyncio.sleep(0.1)
        assert [one.value for one in found.records] == [b"a"]
    finally:
        await topic.close()


async def test_without_a_broker_it_is_away_and_closes_though() -> None:
    topic = KafkaPlatformTopic(KafkaSettings("127.0.0.1:9"), "openedx", batch_size=4)
    await topic.commit({0: 1})
    await topic.close()


@pytest.mark.xdist_group("kafka")
async def test_what_keeps_records_from_being_taken_over_is_a_danger(kafka: Kafka) -> None:
    """A topic that is missing, and then records that nobody takes over; it stops no start."""
    name = f"openedx-{uuid4()}"
    watch = PlatformTopicWatch(KafkaSettings(kafka.bootstrap), name)
    (missing,) = await asyncio.to_thread(watch.dangers)
    assert (missing.is_certain, "OPENEDX_TOPIC" in missing.message) == (False, True)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(with_topic(kafka, name), b"a")
    assert producer.flush(20) == 0
    assert await asyncio.to_thread(watch.dangers) == [], "it may be under way"
    (stalled,) = await asyncio.to_thread(watch.dangers)
    assert (stalled.is_certain, "none was taken over" in stalled.message) == (False, True)
    topic = KafkaPlatformTopic(KafkaSettings(kafka.bootstrap, session_timeout_ms=2_000), name, batch_size=4)
    try:
        await values_of(topic, 1)
    finally:
        await topic.close()
    assert await asyncio.to_thread(watch.dangers) == []


class Message(NamedTuple):
    """One of librdkafka's messages: a record, or a fault."""

    at: int
    fault: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.fault

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 1

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return b"%d" % self.at


class Arriving:
    """A consumer that gives records and faults together, as librdkafka does; it is in a group of its own."""

    def __init__(self, *rounds: Sequence[Message]) -> None:
        self._rounds = list(rounds)
        self.committed: list[int] = []

    def consume(self, number: int, wait_s: float) -> Sequence[Message]:
        del number, wait_s
        return self._rounds.pop(0)

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition("openedx", 0)]

    def commit(self, offsets: list[TopicPartition], *, asynchronous: bool) -> None:
        del asynchronous
        if not self.committed:
            self.committed.append(-1)
            raise KafkaException(KafkaError(KafkaError.REBALANCE_IN_PROGRESS))
        self.committed += [one.offset for one in offsets]

    def close(self) -> None:
        """Nothing is held."""


async def test_records_that_come_with_a_fault_are_given_and_what_could_not_be_committed_is_later() -> None:
    """The consumer is past them: committed would be what nobody worked."""
    topic = KafkaPlatformTopic(KafkaSettings("127.0.0.1:9"), "openedx", batch_size=4)
    fault = Message(0, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    consumer = Arriving([Message(0), fault, Message(1)], [Message(2)], [])
    topic._consumer = consumer  # type: ignore[assignment]
    batch = await batch_of(topic)
    assert [one.value for one in batch.records] == [b"0", b"1"]
    await topic.commit(batch.ends)
    with pytest.raises(Unavailable, match="permit Read and Describe"):
        await topic.read()
    assert consumer.committed == [-1, 2], "once partitions have stopped moving"
    assert [one.value for one in (await batch_of(topic)).records] == [b"2"]
    await topic.close()


@pytest.mark.xdist_group("kafka")
async def test_a_topic_that_cannot_be_looked_at_hides_no_danger_of_ours(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = open_logs(KafkaSettings(kafka.bootstrap, create_topics=False), platform_topic=f"openedx-{uuid4()}")

    def fail(_: PlatformTopicWatch) -> list[Danger]:
        raise Unavailable("away")

    try:
        seen = await logs.connection.dangers()
        assert any("OPENEDX_TOPIC" in danger.message for danger in seen)
        monkeypatch.setattr(PlatformTopicWatch, "dangers", fail)
        ours = await logs.connection.dangers()
        assert ours == [danger for danger in seen if "OPENEDX_TOPIC" not in danger.message]
    finally:
        await logs.connection.close()
