"""Kafka's messages as the records of the log, and all messages of a topic."""

from collections.abc import Generator, Iterator
from functools import lru_cache, partial
from time import monotonic

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from mastery_engine.backends.kafka.faults import ANSWER_S, as_engine_error, is_end, when_settled
from mastery_engine.backends.kafka.headers import headers_of, stated_id, text_of
from mastery_engine.backends.kafka.settings import GROUP, KafkaSettings
from mastery_engine.domain.events.event import DEFAULT_TENANT
from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import MOST_IN_PAGE, Record

URL_SAFE = str.maketrans("+/", "-_")  # a topic's id is Base64, and an event's has no such letters


@lru_cache(maxsize=8)
def origin_of(log_id: str) -> str:
    """What the ids of events that came without one begin with."""
    return f"kafka:{log_id.translate(URL_SAFE)}"


def record_of(message: Message, log_id: str) -> Record:
    """A message of the log as its record."""
    headers = headers_of(message)
    tenant, event_id = DEFAULT_TENANT, ""
    if headers:
        tenant, event_id = text_of(headers.get("tenant") or DEFAULT_TENANT), stated_id(headers)
    return Record(
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1] * 1_000,
        tenant,
        message.key(),
        message.value(),
        event_id,
        headers,
        origin_of(log_id),
    )


def messages_of(settings: KafkaSettings, topic: str) -> list[Message]:
    """Everything that a topic holds; blocks. Raises Unavailable."""
    try:
        return when_settled(lambda: [message for page in _pages(settings, topic) for message in page])
    except KafkaException as error:
        raise as_engine_error(error) from error


def pages_of(settings: KafkaSettings, topic: str) -> Generator[list[Message], None, None]:
    """Everything that a topic holds as this begins, some at a time; blocks. Raises Unavailable."""
    try:
        yield from _pages(settings, topic)
    except KafkaException as error:
        raise as_engine_error(error) from error


def _pages(settings: KafkaSettings, topic: str) -> Iterator[list[Message]]:
    outside = {"group.id": GROUP, "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(settings.client(**outside))
    try:
        yield from _read(consumer, topic, when_settled(partial(_assigned, consumer, topic)))
    finally:
        consumer.close()


def _assigned(consumer: Consumer, topic: str) -> dict[int, int]:
    """The ends of the partitions that hold anything, from whose beginnings the consumer now reads."""
    ends = {}
    for partition in consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_S)
        if high > low:
            ends[partition] = high
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in ends])
    return ends


def _read(consumer: Consumer, topic: str, ends: dict[int, int]) -> Iterator[list[Message]]:
    moved = monotonic()
    while ends:
        arrived = consumer.consume(MOST_IN_PAGE, 0.1)
        if arrived:
            moved = monotonic()
        elif monotonic() - moved > ANSWER_S:
            raise Unavailable(f"Kafka is away: {topic} cannot be read now.")
        page: list[Message] = []
        for message in arrived:
            partition, offset = message.partition() or 0, message.offset() or 0
            if is_end(message):
                ends.pop(partition, None)
                continue
            page.append(message)
            if offset + 1 >= ends.get(partition, 0):
                ends.pop(partition, None)
        if page:
            yield page
            moved = monotonic()  # whoever takes the pages may take their time
