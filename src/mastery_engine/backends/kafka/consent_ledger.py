"""Consent on Kafka: a compacted topic of one partition, keyed by keyed hashes, read wholly and then onwards."""

from collections.abc import Mapping
from functools import partial
from time import monotonic

from confluent_kafka import Consumer, TopicPartition

from mastery_engine.backends.kafka.asker import Asker
from mastery_engine.backends.kafka.faults import ANSWER_S, is_end
from mastery_engine.backends.kafka.sender import Sender
from mastery_engine.backends.kafka.topic_plans import CONSENT_TOPIC
from mastery_engine.backends.kafka.topics import KafkaTopics
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import Unavailable
from mastery_engine.ports.consent_ledger import ConsentRecord

PARTITION = 0


class KafkaConsentLedger:
    """See ``ConsentLedger``."""

    def __init__(self, topics: KafkaTopics, sender: Sender, asker: Asker) -> None:
        """``asker`` is the ledger's alone: it reads the topic with it."""
        self._topics = topics
        self._sender = sender
        self._asker = asker

    async def put_all(self, values: Mapping[str, bytes], at: Micros) -> None:
        """The time is the broker's, as that of the events is."""
        del at
        await self._topics.log_id()
        await self._sender.send([(CONSENT_TOPIC, name.encode(), value, {}) for name, value in values.items()])

    async def read(self, after: int) -> tuple[list[ConsentRecord], int]:
        await self._topics.log_id()
        return await self._asker.ask(partial(_read, after))


def _read(position: int, client: Consumer) -> tuple[list[ConsentRecord], int]:
    """The records from an offset to the topic's end as it is now, and that end."""
    low, end = client.get_watermark_offsets(TopicPartition(CONSENT_TOPIC, PARTITION), timeout=ANSWER_S)
    position = low if end < position else max(low, position)  # a topic made anew is read from its beginning
    if end == position:
        return [], position
    records: list[ConsentRecord] = []
    client.assign([TopicPartition(CONSENT_TOPIC, PARTITION, position)])
    deadline = monotonic() + ANSWER_S
    try:
        while position < end:
            first = client.poll(0.1)
            for message in [] if first is None else [first, *client.consume(1_000, 0)]:
                key, value, offset = message.key(), message.value(), message.offset() or 0
                if is_end(message):
                    position = offset
                    continue
                position = offset + 1
                if key is not None and value is not None:
                    name = key.decode(errors="backslashreplace")  # ours are ASCII
                    records.append(ConsentRecord(name, value, message.timestamp()[1] * 1_000))
                deadline = monotonic() + ANSWER_S
            if position < end and monotonic() > deadline:
                raise Unavailable("Kafka is away: what students have consented to cannot be read now.")
    finally:
        client.unassign()
    return records, position
