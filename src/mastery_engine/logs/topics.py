"""The topics: their names, how the missing ones are made, and what is wrong with those that are there."""

import logging

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic  # type: ignore[attr-defined]

from mastery_engine.domain.moments import DAY
from mastery_engine.domain.results import EVENTS_TOPIC, RESULTS_TOPIC
from mastery_engine.errors import StartRefused
from mastery_engine.logs.base import REQUESTS_TOPIC
from mastery_engine.logs.kafka_faults import ANSWER_S, Complaints, away, made, when_settled
from mastery_engine.logs.kafka_settings import KafkaSettings

logger = logging.getLogger(__name__)

DEAD_LETTERS_TOPIC = "mastery.dlq"
TOPICS = (REQUESTS_TOPIC, RESULTS_TOPIC, EVENTS_TOPIC, DEAD_LETTERS_TOPIC)
MOST_REPLICAS = 3
LARGEST_BYTES = 8 * 1024 * 1024  # what we send: a dead letter is its record and more

NOT_PERMITTED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}


def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Make the topics that are missing; their names. Existing ones are left as they are, with a warning at odds.

    Raises Unavailable where Kafka does not answer, StartRefused where topics are missing and may not be made.
    """
    complaints = Complaints()
    admin = made(AdminClient, settings.client(error_cb=complaints))
    try:
        cluster = admin.list_topics(timeout=ANSWER_S)
        missing = [name for name in TOPICS if name not in cluster.topics]
        if missing and not settings.create_topics:
            raise StartRefused(
                f"Kafka has no topics {', '.join(missing)}, and KAFKA_CREATE_TOPICS is false: have them made, or run "
                "mastery-engine topics create."
            )
        replication = settings.replication or min(len(cluster.brokers), MOST_REPLICAS)
        wanted = [_topic(name, settings, replication) for name in missing]
        for name, outcome in (admin.create_topics(wanted) if wanted else {}).items():
            _made(name, outcome)
        _check(admin, [name for name in TOPICS if name not in missing])
    except KafkaException as error:
        admin.poll(0)  # so that it tells its complaints
        raise away(error, complaints) from error
    return missing


def _made(name: str, outcome: object) -> None:
    try:
        outcome.result(ANSWER_S)  # type: ignore[attr-defined]
    except KafkaException as error:
        if error.args[0].code() in NOT_PERMITTED:
            raise StartRefused(
                f"Kafka has no topic {name}, or none that this user sees, and does not let it make one: have the "
                "topics made and permitted to it."
            ) from error
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
        logger.info("another process made %s", name)


def _topic(name: str, settings: KafkaSettings, replication: int) -> NewTopic:
    config = {
        "retention.ms": str(settings.retention_days * DAY // 1_000),
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(2 if replication > 2 else 1),
    }
    if name != REQUESTS_TOPIC:
        config["max.message.bytes"] = str(LARGEST_BYTES)
    return NewTopic(name, num_partitions=settings.partitions, replication_factor=replication, config=config)


def _check(admin: AdminClient, names: list[str]) -> None:
    """Warn where the time of receipt is the sender's word: then a late or wrong clock decides what counts."""
    if REQUESTS_TOPIC not in names:
        return
    (outcome,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, REQUESTS_TOPIC)]).values()
    try:
        kind = outcome.result(ANSWER_S)["message.timestamp.type"].value
    except KafkaException as error:
        if error.args[0].code() not in NOT_PERMITTED:
            raise
        logger.warning(
            "Kafka does not let this user read the settings of %s: see that message.timestamp.type is LogAppendTime",
            REQUESTS_TOPIC,
        )
        return
    if kind != "LogAppendTime":
        logger.warning("%s has message.timestamp.type=%s: receipts are as senders say", REQUESTS_TOPIC, kind)


def topic_id(settings: KafkaSettings) -> str:
    """The id of the requests' topic: one made anew has another, though it has the same name."""
    admin = made(AdminClient, settings.client())

    def ask() -> str:
        described = admin.describe_topics(TopicCollection([REQUESTS_TOPIC]), request_timeout=ANSWER_S)
        return str(described[REQUESTS_TOPIC].result(ANSWER_S).topic_id)

    try:
        return when_settled(ask)
    except KafkaException as error:
        raise away(error) from error
