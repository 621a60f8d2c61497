"""Open edX's event bus on a real Kafka: its records become evidence, once, whatever is killed."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.commands import command
from tests.support.fleet import DEAD, REQUESTS, Fleet, bare_fleet, headers, with_topic
from tests.support.openedx import TRACKING, checked, on_bus

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(180)]

STUDENTS, EACH = 20, 10


@pytest.fixture
def fleet(kafka: Kafka, redis_server: Redis, tmp_path: Path) -> Iterator[Fleet]:
    fleet = bare_fleet(kafka, redis_server, tmp_path)
    fleet.settings["OPENEDX_TOPIC"] = with_topic(kafka, f"openedx-{uuid4()}", partitions=3)
    yield fleet
    fleet.close()


def produce(fleet: Fleet, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": fleet.kafka.bootstrap})
    for value in values:
        known = {"ce_type": TRACKING.encode(), "ce_id": str(uuid4()).encode()}
        producer.produce(fleet.settings["OPENEDX_TOPIC"], value, headers=known)
    assert producer.flush(20) == 0


def answers() -> list[bytes]:
    """Each student's answers to problems of their own, every second of them right."""
    start = datetime.now(UTC) - timedelta(hours=2)
    return [
        on_bus(
            checked((start + timedelta(seconds=place)).isoformat(), place, username=f"student-{name}", grade=place % 2)
        )
        for name in range(STUDENTS)
        for place in range(EACH)
    ]


def quizzes(fleet: Fleet) -> list[str]:
    """The ids of the quiz events in the log, as often as they are there."""
    events = [json.loads(one.value() or b"") for one in fleet.records(REQUESTS)]
    return [f"{one['student_id']} {one['event_id']}" for one in events if one["event_type"] == "quiz"]


def wait_for(fleet: Fleet, number: int) -> None:
    deadline = time.monotonic() + 60
    while len(set(quizzes(fleet))) < number:
        assert time.monotonic() < deadline, fleet.logs()
        time.sleep(0.1)
    fleet.wait_until_worked()


async def test_each_answer_counts_once_though_workers_are_killed_and_records_come_twice(fleet: Fleet) -> None:
    sent = answers()
    first = fleet.worker()
    produce(fleet, *sent[: len(sent) // 2])
    wait_for(fleet, 1)
    first.kill()
    produce(fleet, *sent, *sent[:30])
    fleet.worker()
    fleet.worker()
    wait_for(fleet, len(sent))
    truth = await fleet.check()  # store and results against an independent reading of the log
    assert len(truth.ids) == 2 * len(sent)  # the whole attempt, and its question
    fleet.close()
    before = len(fleet.records(REQUESTS))
    assert command(fleet, "replay")["students"] == STUDENTS
    assert len(fleet.records(REQUESTS)) == before
    await fleet.check()


def test_what_cannot_be_read_is_a_dead_letter_and_the_rest_goes_on(fleet: Fleet) -> None:
    worker = fleet.worker()
    (answer,) = answers()[:1]
    produce(fleet, b"\x00\x00\x00\x00\x01cut", answer)
    wait_for(fleet, 1)
    deadline = time.monotonic() + 60
    while not (letters := fleet.records(DEAD)):
        assert time.monotonic() < deadline, fleet.logs()
        time.sleep(0.1)
    assert [headers(one)["dlq.topic"] for one in letters] == [fleet.settings["OPENEDX_TOPIC"]]
    (listed,) = command(fleet, "dlq", "list")
    assert "Avro" in json.dumps(listed)
    worker.stop()
    before = len(fleet.records(REQUESTS))
    assert command(fleet, "dlq", "redrive", str(listed["id"]))["redriven"] == [listed["id"]]
    fleet.worker()
    while len(again := [one for one in fleet.records(DEAD) if "dlq.offset" in headers(one)]) < 2:
        assert time.monotonic() < deadline, fleet.logs()
        time.sleep(0.1)
    assert [headers(one)["dlq.topic"] for one in again] == [fleet.settings["OPENEDX_TOPIC"]] * 2
    assert sorted(headers(one)["dlq.attempts"] for one in again) == ["1", "2"]
    assert len(fleet.records(REQUESTS)) == before
