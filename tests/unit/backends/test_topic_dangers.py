"""Which settings of Kafka's topics are dangerous: a table, since a real cluster of three brokers is no test's own."""

import pytest
from confluent_kafka.admin import PartitionMetadata  # type: ignore[attr-defined]

from mastery_engine.backends.kafka.logs import check_partitions
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topic_dangers import TopicSettings, dangers_in
from mastery_engine.backends.kafka.topic_plans import CONSENT_TOPIC, TOPICS, planned
from mastery_engine.errors import Unavailable

SETTINGS = KafkaSettings("localhost:9092", retention_days=30)
REQUESTS, DEAD_LETTERS = "mastery.requests", "mastery.dlq"


def as_planned(name: str, replicas: int, **changed: str) -> TopicSettings:
    defaults = {"cleanup.policy": "delete", "retention.bytes": "-1", "unclean.leader.election.enable": "false"}
    given = {key.replace("_", "."): value for key, value in changed.items()}
    return TopicSettings(name, replicas, defaults | (planned(name, SETTINGS, replicas).config or {}) | given)


@pytest.mark.parametrize("replicas", [1, 2, 3, 5])
def test_topics_as_the_engine_makes_them_are_safe(replicas: int) -> None:
    assert dangers_in([as_planned(name, replicas) for name in TOPICS], SETTINGS) == []


DANGEROUS = {
    "one replica acknowledges": (as_planned(REQUESTS, 3, min_insync_replicas="1"), "min.insync.replicas"),
    "consent that one acknowledges": (as_planned(CONSENT_TOPIC, 3, min_insync_replicas="1"), "min.insync.replicas"),
    "unclean": (as_planned(DEAD_LETTERS, 2, unclean_leader_election_enable="true"), "unclean.leader.election"),
    "compacted": (as_planned(REQUESTS, 1, cleanup_policy="compact"), "is compacted"),
    "compacted too": (as_planned("mastery.results", 1, cleanup_policy="compact,delete"), "is compacted"),
    "short": (as_planned("mastery.events", 1, retention_ms="86400000"), "keeps records for 1 of the 30 days"),
    "a moment": (as_planned(REQUESTS, 1, retention_ms="0"), "KAFKA_RETENTION_DAYS"),
    "senders' receipts": (as_planned(REQUESTS, 1, message_timestamp_type="CreateTime"), "LogAppendTime"),
    "consent's receipts": (as_planned(CONSENT_TOPIC, 1, message_timestamp_type="CreateTime"), "LogAppendTime"),
    "consent ages": (as_planned(CONSENT_TOPIC, 1, cleanup_policy="delete"), "to compact"),
    "consent ages too": (as_planned(CONSENT_TOPIC, 1, cleanup_policy="compact,delete"), "to compact"),
}


@pytest.mark.parametrize("name", DANGEROUS)
def test_each_dangerous_setting_is_told_with_its_topic_and_its_cure(name: str) -> None:
    topic, words = DANGEROUS[name]
    (danger,) = dangers_in([topic], SETTINGS)
    assert danger.is_certain
    assert topic.name in danger.message
    assert words in danger.message
    assert "Set " in danger.message


@pytest.mark.parametrize(
    "topic",
    [
        as_planned(REQUESTS, 1, retention_ms="-1"),
        as_planned(REQUESTS, 1, retention_ms=str(31 * 86_400_000)),
        as_planned(REQUESTS, 1, unclean_leader_election_enable="true"),  # nobody else could lead
        as_planned("mastery.results", 1, message_timestamp_type="CreateTime"),
        TopicSettings(REQUESTS, 1, {}),  # a server that has not all of Kafka's settings
    ],
)
def test_what_is_no_danger_is_not_told(topic: TopicSettings) -> None:
    assert dangers_in([topic], SETTINGS) == []


def test_what_may_be_harmless_stops_no_start() -> None:
    (by_size,) = dangers_in([as_planned(REQUESTS, 1, retention_bytes="1000000")], SETTINGS)
    assert "1,000,000 bytes" in by_size.message
    (hidden,) = dangers_in([TopicSettings(REQUESTS, 3, None), TopicSettings(CONSENT_TOPIC, 3, None)], SETTINGS)
    assert f"{REQUESTS}, {CONSENT_TOPIC}" in hidden.message
    unmade = KafkaSettings("localhost:9092", create_topics=False)
    (missing,) = dangers_in([as_planned(name, 1) for name in TOPICS if name != REQUESTS], unmade)
    assert REQUESTS in missing.message
    assert {danger.is_certain for danger in (by_size, hidden, missing)} == {False}


def partition(leader: int, replicas: list[int], in_step: list[int]) -> PartitionMetadata:
    metadata = PartitionMetadata()
    metadata.leader, metadata.replicas, metadata.isrs = leader, replicas, in_step
    return metadata


def test_a_partition_that_can_take_no_record_is_seen() -> None:
    check_partitions([partition(1, [1, 2, 3], [1, 2]), partition(1, [1], [1])], 2)
    check_partitions([partition(1, [1, 2, 3], [1])], 1)
    with pytest.raises(Unavailable, match="no leader"):
        check_partitions([partition(1, [1], [1]), partition(-1, [1], [])], 1)
    with pytest.raises(Unavailable, match="replicas in step"):
        check_partitions([partition(1, [1, 2, 3], [1])], 2)
