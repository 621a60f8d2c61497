"""Courses calibrated and events dumped from a log that is Kafka, beside the same events in an embedded one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.commands import command
from tests.support.fleet import Fleet, Foreign, bare_fleet
from tests.support.live import environment
from tests.support.processes import run_command

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(180)]

BEST_KNOWN = {"student_id": "student_12345"}


@pytest.fixture
def fleet(kafka: Kafka, redis_server: Redis, tmp_path: Path) -> Iterator[Fleet]:
    fleet = bare_fleet(kafka, redis_server, tmp_path)
    yield fleet
    fleet.close()


def run(home: Path, *words: str) -> str:
    return run_command(*words, environment=environment(home, {}), check=True).stdout


async def test_what_kafka_holds_calibrates_as_an_embedded_log_does(fleet: Fleet, tmp_path: Path) -> None:
    file = tmp_path / "class.jsonl"
    run(tmp_path / "embedded", "simulate", "--students", "8", "--days", "30", "--out", str(file))
    events: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]
    fleet.worker()
    api = fleet.api()
    foreign = Foreign(fleet.kafka)
    foreign.put_events([*events, *events[:50]])
    foreign.put(b"junk")
    foreign.flush()
    fleet.wait_until_worked()
    (learned,) = command(fleet, "calibrate")["courses"]
    assert learned["student_weeks"] > 15
    with api.client() as client:
        answer = client.post("/predictions/next-week", json=BEST_KNOWN).json()["data"]
    assert answer["calibration"] == {name: learned[name] for name in answer["calibration"]}

    run(tmp_path / "embedded", "ingest", str(file))
    (alone,) = json.loads(run(tmp_path / "embedded", "calibrate", "--json"))["courses"]
    assert {**alone, "as_of": None} == {**learned, "as_of": None}

    # A dump holds each event once, and the scores of both are those of an engine that took it in.
    out = tmp_path / "events.parquet"
    assert command(fleet, "dump", "events", "--out", str(out))["rows"] == len(events)
    run(tmp_path / "fresh", "ingest", str(out), "--format", "parquet")
    kafkas = scores(command(fleet, "dump", "scores", "--out", str(tmp_path / "kafka.jsonl"))["out"])
    for name in ("embedded", "fresh"):
        run(tmp_path / name, "dump", "scores", "--out", f"{tmp_path}/{name}.jsonl")
        found = scores(f"{tmp_path}/{name}.jsonl")
        assert found.keys() == kafkas.keys()
        assert all(found[student_id] == pytest.approx(kafkas[student_id], abs=1e-9) for student_id in found)
    assert len(kafkas) == 8


def scores(path: str) -> dict[str, float]:
    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return {row["student_id"]: row["mastery_score"] for row in rows}
