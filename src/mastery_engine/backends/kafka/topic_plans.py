"""The topics as they are made, and in what those that are there differ from that."""

from collections.abc import Iterator

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    TopicMetadata,
)

from mastery_engine.backends.kafka.faults import ANSWER_S, Complaints, as_engine_error, new_client
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.results import EVENTS_TOPIC, RESULTS_TOPIC
from mastery_engine.ports.event_log import REQUESTS_TOPIC

DEAD_LETTERS_TOPIC = "mastery.dlq"
CONSENT_TOPIC = "mastery.consent"
AGING = (REQUESTS_TOPIC, RESULTS_TOPIC, EVENTS_TOPIC, DEAD_LETTERS_TOPIC)
TOPICS = (*AGING, CONSENT_TOPIC)
LARGEST_BYTES = 8 * 1024 * 1024  # what we send: a dead letter is its record and more

NOT_PERMITTED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}


def planned(name: str, settings: KafkaSettings, replication: int) -> NewTopic:
    """The topic as it is made."""
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


def longest_retention(settings: KafkaSettings) -> dict[str, Micros | None]:
    """How long a record may stay in each topic that ages, as Kafka has it; None for ever. Blocks; raises Unavailable.

    A segment goes as a whole, once its newest record is past the retention, and may take records for ``segment.ms``.
    """
    complaints = Complaints()
    admin = new_client(AdminClient, settings.client(error_cb=complaints))
    try:
        asked = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name) for name in AGING])
        entries = {resource.name: outcome.result(ANSWER_S) for resource, outcome in asked.items()}
    except KafkaException as error:
        raise as_engine_error(error, complaints) from error
    longest: dict[str, Micros | None] = {}
    for name in AGING:
        retention, segment = (int(entries[name][which].value) for which in ("retention.ms", "segment.ms"))
        ages = "delete" in entries[name]["cleanup.policy"].value and retention >= 0
        longest[name] = (retention + segment) * 1_000 if ages else None
    return longest


def differences(settings: KafkaSettings) -> list[str]:
    """In what the topics that are there are not as they would be made; blocks. Raises Unavailable."""
    complaints = Complaints()
    admin = new_client(AdminClient, settings.client(error_cb=complaints))
    try:
        topics = admin.list_topics(timeout=ANSWER_S).topics
        there = [name for name in TOPICS if name in topics]
        return [words for name in there for words in _differs(admin, settings, topics[name])]
    except KafkaException as error:
        raise as_engine_error(error, complaints) from error


def _differs(admin: AdminClient, settings: KafkaSettings, topic: TopicMetadata) -> Iterator[str]:
    name, partitions = str(topic.topic), topic.partitions.values()
    replicas = min((len(partition.replicas) for partition in partitions), default=0)
    wanted = planned(name, settings, settings.replication or replicas)
    if len(partitions) != wanted.num_partitions:
        yield f"{name} has {len(partitions)} partitions, not {wanted.num_partitions}."
    if replicas != wanted.replication_factor:
        yield f"{name} is replicated {replicas} times, not {wanted.replication_factor}."
    entries = _entries(admin, name)
    if entries is None:
        yield f"Kafka does not let this user read the settings of {name}."
        return
    for key, value in (wanted.config or {}).items():
        if entries[key].value != value:
            yield f"{name} has {key}={entries[key].value}, not {value}."


def _entries(admin: AdminClient, name: str) -> dict[str, ConfigEntry] | None:
    """A topic's settings; None where this user may not read them."""
    (outcome,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, name)]).values()
    try:
        entries: dict[str, ConfigEntry] = outcome.result(ANSWER_S)
    except KafkaException as error:
        if error.args[0].code() not in NOT_PERMITTED:
            raise
        return None
    return entries
