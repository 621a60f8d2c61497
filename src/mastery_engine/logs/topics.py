"""The topics: their names, how the missing ones are made, and what is wrong with those that are there."""

import logging
from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, TopicMetadata  # type: ignore[attr-defined]

from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.results import EVENTS_TOPIC, RESULTS_TOPIC
from mastery_engine.errors import StartRefused
from mastery_engine.logs.base import REQUESTS_TOPIC
from mastery_engine.logs.kafka_faults import ANSWER_S, Complaints, away, made, when_settled
from mastery_engine.logs.kafka_settings import KafkaSettings

logger = logging.getLogger(__name__)

DEAD_LETTERS_TOPIC = "mastery.dlq"
CONSENT_TOPIC = "mastery.consent"
AGING = (REQUESTS_TOPIC, RESULTS_TOPIC, EVENTS_TOPIC, DEAD_LETTERS_TOPIC)
TOPICS = (*AGING, CONSENT_TOPIC)
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
        _check_one_partition(cluster.topics)
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


def _check_one_partition(topics: Mapping[str, TopicMetadata]) -> None:
    """Changes of consent have one order. Raises StartRefused where the topic has more partitions than one."""
    found = topics.get(CONSENT_TOPIC)
    if found is not None and len(found.partitions) > 1:
        raise StartRefused(
            f"{CONSENT_TOPIC} has {len(found.partitions)} partitions: it must have one. Have it made anew, compacted, "
            "while no service runs, and copy its records over: they are what students have allowed."
        )


def longest_stay(settings: KafkaSettings) -> dict[str, Micros | None]:
    """How long a record may stay in each topic that ages, as Kafka has it; None for ever. Raises Unavailable.

    A segment goes as a whole, once its newest record is past the retention, and may take records for ``segment.ms``.
    """
    complaints = Complaints()
    admin = made(AdminClient, settings.client(error_cb=complaints))
    try:
        asked = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name) for name in AGING])
        found = {resource.name: outcome.result(ANSWER_S) for resource, outcome in asked.items()}
    except KafkaException as error:
        raise away(error, complaints) from error
    stays: dict[str, Micros | None] = {}
    for name in AGING:
        retention, segment = (int(found[name][which].value) for which in ("retention.ms", "segment.ms"))
        ages = "delete" in found[name]["cleanup.policy"].value and retention >= 0
        stays[name] = (retention + segment) * 1_000 if ages else None
    return stays


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
    if name == CONSENT_TOPIC:
        return NewTopic(
            name,
            num_partitions=1,
            replication_factor=replication,
            config={
                "cleanup.policy": "compact",
                "message.timestamp.type": "LogAppendTime",
                "min.insync.replicas": str(2 if replication > 2 else 1),
            },
        )
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
