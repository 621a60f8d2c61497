"""What keeps records of a platform's topic from being taken over: it is missing, not permitted, or nobody reads it."""

from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from mastery_engine.backends.kafka.faults import Complaints, as_engine_error, new_client
from mastery_engine.backends.kafka.platform_topic import PLATFORM_GROUP, words_for
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.ports.backend import Danger

LOOK_S = 2.0


class PlatformTopicWatch:
    """Looks at the topic, and at how far the group is; none of it stops a start, since the topic is the platform's."""

    def __init__(self, settings: KafkaSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._waiting: Mapping[int, int] = {}  # by partition with records to be taken over, the offset committed then

    def dangers(self) -> list[Danger]:
        """Blocks for some seconds at most. Raises Unavailable where Kafka does not answer, StartRefused."""
        complaints = Complaints()
        config = self._settings.client(**{"group.id": PLATFORM_GROUP, "enable.auto.commit": False}, error_cb=complaints)
        consumer = new_client(Consumer, config)
        try:
            before, self._waiting = self._waiting, self._looked_at(consumer)
        except KafkaException as error:
            words = words_for(error.args[0], self._name)
            if words is not None:
                return [Danger(words, is_certain=False)]
            consumer.poll(0)  # so that it makes its complaints
            raise as_engine_error(error, complaints) from error
        finally:
            consumer.close()
        stalled = [partition for partition, offset in self._waiting.items() if before.get(partition) == offset]
        if not stalled:
            return []
        return [
            Danger(
                f"Records wait in the topic {self._name} of OPENEDX_TOPIC (partitions {', '.join(map(str, stalled))}), "
                "and none was taken over since the last look: see that a worker with OPENEDX_TOPIC runs, and what its "
                "log says.",
                is_certain=False,
            )
        ]

    def _looked_at(self, consumer: Consumer) -> dict[int, int]:
        topic = consumer.list_topics(self._name, timeout=LOOK_S).topics[self._name]
        if topic.error is not None:
            raise KafkaException(topic.error)
        asked = [TopicPartition(self._name, partition) for partition in topic.partitions]
        waiting: dict[int, int] = {}
        for committed in consumer.committed(asked, timeout=LOOK_S):
            if committed.error is not None:
                raise KafkaException(committed.error)
            low, high = consumer.get_watermark_offsets(committed, timeout=LOOK_S)
            offset = max(committed.offset, low)
            if high > offset:
                waiting[committed.partition] = offset
        return waiting
