"""Topics that are not as the engine would have them, and what works on them: ends that are no record, other makers.

Others' transactions leave marks at the end, and what was last may have aged out.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.commands import command, raw
from tests.support.fleet import DEAD, REQUESTS, Fleet, bare_fleet, consumer_of, ends_of, events, until

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(120)]


@pytest.fixture
def bare(kafka: Kafka, redis_server: Redis, tmp_path: Path) -> Iterator[Fleet]:
    fleet = bare_fleet(kafka, redis_server, tmp_path)
    yield fleet
    fleet.close()


@pytest.fixture
def fleet(bare: Fleet) -> Fleet:
    command(bare, "topics", "create")
    return bare


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
    assert command(fleet, "replay") | {"seconds": 0} == {"events": 0, "students": 0, "refused": 0, "seconds": 0}


def test_a_replay_waits_for_one_that_was_killed_and_refuses_beside_one_that_lives(fleet: Fleet) -> None:
    sent = events("beside", 20, random.Random(5), students=3)
    worker = fleet.worker()
    foreign = Producer({"bootstrap.servers": fleet.kafka.bootstrap})
    for one in sent:
        foreign.produce(REQUESTS, raw(one), one["student_id"])
    foreign.flush(10)
    fleet.wait_until_worked()
    before = stored(fleet)
    refused = command(fleet, "replay", fails=True)
    assert "1 worker already, on 127.0.0.1" in refused
    assert "Nothing was changed" in refused
    assert stored(fleet) == before
    worker.kill()
    assert command(fleet, "replay") | {"seconds": 0} == {"events": 20, "students": 3, "refused": 0, "seconds": 0}


def test_headers_of_ours_on_a_foreign_record_hide_no_dead_letter(fleet: Fleet) -> None:
    def listed() -> list[tuple[str, str | None]]:
        letters = command(fleet, "dlq", "list")
        return sorted((one["key"], one["redriven"]) for one in letters)

    def put(topic: str, key: bytes, **headers: str) -> None:
        named = {f"dlq.{name}": value for name, value in headers.items()}
        foreign.produce(topic, b"not an event", key, headers=named)
        foreign.flush(10)

    fleet.worker()
    foreign = Producer({"bootstrap.servers": fleet.kafka.bootstrap})
    put(REQUESTS, b"first")
    fleet.wait_until_worked()
    (first,) = command(fleet, "dlq", "list")
    put(REQUESTS, b"second", redriven=str(first["id"]), at=first["dead_since"])
    put(REQUESTS, b"third", redriven="abc", offset="abc", attempts="x")
    fleet.wait_until_worked()
    put(DEAD, b"intruder", redriven="abc")
    put(DEAD, b"intruder", offset="abc", partition="1")
    assert listed() == [("first", None), ("second", None), ("third", None)]
    assert len(command(fleet, "dlq", "redrive", "--all", fails=True)["redriven"]) == 3


def stored(fleet: Fleet) -> set[bytes]:
    """All keys but those of a probe of readiness and of a process's figures, which come whenever they like."""
    with fleet.redis.client() as client:
        return {
            key for key in client.scan_iter() if not key.startswith((b"mastery:ready:", b"mastery:registry:{replicas}"))
        }


def test_topics_create_says_in_what_those_that_are_there_differ(bare: Fleet) -> None:
    admin = AdminClient({"bootstrap.servers": bare.kafka.bootstrap})
    others = [
        NewTopic(REQUESTS, 3, 1, config={"retention.ms": "3600000"}),
        NewTopic("mastery.consent", 1, 1, config={"cleanup.policy": "delete"}),
    ]
    for outcome in admin.create_topics(others).values():
        outcome.result(10)
    assert "set KAFKA_REPLICATION" in command(bare, "topics", "create", fails=True, KAFKA_REPLICATION="3")
    first = command(bare, "topics", "create")
    assert set(first["there"]) == {REQUESTS, "mastery.consent"}
    assert {
        f"{REQUESTS} has 3 partitions, not 6.",
        f"{REQUESTS} has retention.ms=3600000, not 2592000000.",
        f"{REQUESTS} has message.timestamp.type=CreateTime, not LogAppendTime.",
        "mastery.consent has cleanup.policy=delete, not compact.",
    } <= set(first["differ"])
    worker = bare.worker()
    until(lambda: "cleanup.policy=delete" in worker.log_text())
    assert "message.timestamp.type=CreateTime" in worker.log_text()
    assert not any(said.startswith(("mastery.results", DEAD)) for said in command(bare, "topics", "create")["differ"])
