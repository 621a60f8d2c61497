"""How topics that are missing are made, and which ones stop the start."""

import asyncio
import logging
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, TopicMetadata  # type: ignore[attr-defined]

from mastery_engine.backends.kafka.faults import ANSWER_S, Complaints, as_engine_error, new_client, when_settled
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_plans import CONSENT_TOPIC, NOT_PERMITTED, TOPICS, planned
from mastery_engine.errors import StartRefused
from mastery_engine.ports.event_log import REQUESTS_TOPIC

logger = logging.getLogger(__name__)

MOST_REPLICAS = 3


class KafkaTopics:
    """The topics of the engine, which are there once ``log_id`` has answered."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._log_id: str | None = None

    async def log_id(self) -> str:
        """The log's id. The first time topics that are missing are made. Raises Unavailable, StartRefused."""
        if self._log_id is None:
            await asyncio.to_thread(ensure_topics, self._settings)
            self._log_id = await asyncio.to_thread(topic_id, self._settings)
        return self._log_id


def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Make the topics that are missing; their names. Existing ones are left as they are.

    Blocks. Raises Unavailable where Kafka does not answer, StartRefused where topics are missing and may not be made.
    """
    complaints = Complaints()
    admin = new_client(AdminClient, settings.client(error_cb=complaints))
    try:
        cluster = admin.list_topics(timeout=ANSWER_S)
        _check_one_partition(cluster.topics)
        missing = [name for name in TOPICS if name not in cluster.topics]
        if missing and not settings.create_topics:
            raise StartRefused(
                f"Kafka has no topics {', '.join(missing)}, and KAFKA_CREATE_TOPICS is false: have them made, or run "
                "mastery-engine topics create."
            )
        replication = settings.replication or min(len(cluster.brokers), MOST_REPLICAS)
        wanted = [planned(name, settings, replication) for name in missing]
        for name, outcome in (admin.create_topics(wanted) if wanted else {}).items():
            _check_made(name, outcome)
    except KafkaException as error:
        admin.poll(0)  # so that it makes its complaints
        raise as_engine_error(error, complaints) from error
    return missing


def _check_one_partition(topics: Mapping[str, TopicMetadata]) -> None:
    """Changes of consent have one order. Raises StartRefused where the topic has more partitions than one."""
    topic = topics.get(CONSENT_TOPIC)
    if topic is not None and len(topic.partitions) > 1:
        raise StartRefused(
            f"{CONSENT_TOPIC} has {len(topic.partitions)} partitions: it must have one. Have it made anew, compacted, "
            "while no service runs, and copy its records over: they are what students have allowed."
        )


def _check_made(name: str, outcome: object) -> None:
    """Raises StartRefused where a topic could not be made; another process may have been first."""
    try:
        outcome.result(ANSWER_S)  # type: ignore[attr-defined]
    except KafkaException as error:
        if error.args[0].code() in NOT_PERMITTED:
            raise StartRefused(
                f"Kafka has no topic {name}, or none that this user sees, and does not let it make one: have the "
                "topics made and permitted to it."
            ) from error
        if error.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR:
            raise StartRefused(
                f"Kafka has fewer brokers than {name} is to have copies: set KAFKA_REPLICATION to their number, or to "
                "less, or leave it out."
            ) from error
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
        logger.info("another process made %s", name)


def topic_id(settings: KafkaSettings) -> str:
    """The id of the requests' topic: one made anew has another, though it has the same name."""
    admin = new_client(AdminClient, settings.client())

    def ask() -> str:
        described = admin.describe_topics(TopicCollection([REQUESTS_TOPIC]), request_timeout=ANSWER_S)
        return str(described[REQUESTS_TOPIC].result(ANSWER_S).topic_id)

    try:
        return when_settled(ask)
    except KafkaException as error:
        raise as_engine_error(error) from error
