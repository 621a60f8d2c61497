"""Consent on Kafka: a compacted topic of one partition, keyed by keyed hashes, read wholly and then onwards."""

from functools import partial
from time import monotonic

from confluent_kafka import Consumer, TopicPartition

from mastery_engine.backends.kafka.faults import ANSWER_S, is_end
from mastery_engine.backends.kafka.reader import Asker
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import CONSENT_TOPIC, longest_stay
from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import ConsentRecord, Fading

PARTITION = 0


class ConsentTopic:
    """Reads the topic through a client of its own."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._asker = Asker(settings, "kafka-consent")

    async def after(self, position: int) -> tuple[list[ConsentRecord], int]:
        """The records from an offset to the topic's end as it is now, and that end. Raises Unavailable."""
        return await self._asker.ask(partial(_read, position))

    async def close(self) -> None:
        await self._asker.close()


def _read(position: int, client: Consumer) -> tuple[list[ConsentRecord], int]:
    low, end = client.get_watermark_offsets(TopicPartition(CONSENT_TOPIC, PARTITION), timeout=ANSWER_S)
    position = low if end < position else max(low, position)  # a topic made anew is read from its beginning
    if end == position:
        return [], position
    found: list[ConsentRecord] = []
    client.assign([TopicPartition(CONSENT_TOPIC, PARTITION, position)])
    deadline = monotonic() + ANSWER_S
    try:
        while position < end:
            first = client.poll(0.1)
            for one in [] if first is None else [first, *client.consume(1_000, 0)]:
                key, value, offset = one.key(), one.value(), one.offset() or 0
                if is_end(one):
                    position = offset
                    continue
                position = offset + 1
                if key is not None and value is not None:
                    name = key.decode(errors="backslashreplace")  # ours are ASCII
                    found.append(ConsentRecord(name, value, one.timestamp()[1] * 1_000))
                deadline = monotonic() + ANSWER_S
            if position < end and monotonic() > deadline:
                raise Unavailable("Kafka is away: what students have consented to cannot be read now.")
    finally:
        client.unassign()
    return found, position


def stays(settings: KafkaSettings, now: int) -> list[Fading]:
    """Topic by topic, until when a record of now may stay; blocks. Raises Unavailable."""
    longest = longest_stay(settings)
    return [Fading(f"topic {name}", None if stay is None else now + stay) for name, stay in longest.items()]
