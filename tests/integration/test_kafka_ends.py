"""Topics whose end is no record: others' transactions leave marks there, and what was last may have aged out."""

import random
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.fleet import DEAD, REQUESTS, Fleet, bare_fleet, consumer_of, ends_of, events
from tests.integration.test_kafka import command, raw

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(120)]


@pytest.fixture
def fleet(kafka: Kafka, redis_server: Redis, tmp_path: Path) -> Fleet:
    fleet = bare_fleet(kafka, redis_server, tmp_path)
    command(fleet, "topics", "create")
    return fleet


def test_a_replay_and_a_reading_end_where_the_last_is_no_record(fleet: Fleet) -> None:
    sent = events("ends", 40, random.Random(4), students=5)
    transactional = {"bootstrap.servers": fleet.kafka.bootstrap, "transactional.id": "somebody-else", "log_level": 0}
    producer = Producer(transactional)
    producer.init_transactions(30)
    producer.begin_transaction()
    for one in sent:
        producer.produce(REQUESTS, raw(one), one["student_id"])
    producer.commit_transaction(30)
    producer.begin_transaction()
    for topic in (REQUESTS, DEAD, "mastery.consent"):
        producer.produce(topic, b"never was", b"nobody")
    producer.flush(30)  # else Kafka may not know of the transaction yet
    producer.abort_transaction(30)
    assert command(fleet, "replay")["events"] == len(sent)
    assert command(fleet, "dlq", "list") == []
    exported = command(fleet, "export", sent[0]["student_id"], "--scan-log")
    assert len(exported["events"]) == sum(one["student_id"] == sent[0]["student_id"] for one in sent)

    consumer = consumer_of(fleet.kafka, "foreign")
    ends = ends_of(consumer, REQUESTS)
    consumer.close()
    admin = AdminClient({"bootstrap.servers": fleet.kafka.bootstrap})
    for outcome in admin.delete_records([TopicPartition(REQUESTS, part, end) for part, end in ends.items()]).values():
        outcome.result(10)
    assert command(fleet, "replay") | {"seconds": 0} == {"events": 0, "students": 0, "seconds": 0}
