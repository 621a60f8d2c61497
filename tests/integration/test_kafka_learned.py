"""How hard items are, learned from a log that is Kafka, beside the same answers in an embedded one."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.domain.model_file import skills_from
from mastery_engine.domain.skills.model import SkillModel
from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.commands import command
from tests.support.fleet import Fleet, Foreign, bare_fleet
from tests.support.live import environment
from tests.support.processes import run_command

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(120)]

STUDENTS, HARD, EASY = 40, "hard", "easy"


@pytest.fixture
def fleet(kafka: Kafka, redis_server: Redis, tmp_path: Path) -> Iterator[Fleet]:
    fleet = bare_fleet(kafka, redis_server, tmp_path)
    yield fleet
    fleet.close()


def answers() -> list[dict[str, Any]]:
    """Each student's answers to two items of one skill, of which one is seldom answered rightly."""
    chance, start = random.Random(8), datetime.now(UTC) - timedelta(days=2)
    return [
        {
            "event_id": f"{name}-{item}",
            "event_type": "answer",
            "student_id": name,
            "timestamp": (start + timedelta(seconds=place)).isoformat(),
            "data": {"item_id": item, "skills": ["loops"], "correct": chance.random() < rate},
        }
        for place, name in enumerate(f"s{number}" for number in range(STUDENTS))
        for item, rate in ((HARD, 0.1), (EASY, 0.9))
    ]


def learned(path: Path) -> SkillModel:
    model = skills_from(path.read_bytes())
    assert model is not None
    return model


async def test_what_kafka_holds_teaches_what_an_embedded_log_does(fleet: Fleet, tmp_path: Path) -> None:
    given = answers()
    out = tmp_path / "model.msgpack"
    fleet.worker()
    foreign = Foreign(fleet.kafka)
    foreign.put_events([*given, *given[:20]])
    foreign.put(b"junk")
    foreign.flush()
    fleet.wait_until_worked()
    await fleet.check()
    done = command(fleet, "fit", "skills", "--from-log", "--out", str(out))
    assert (done["answers"], done["items"], done["revisions"]) == (len(given), 2, 1)
    items = learned(out).revisions[0].items
    assert items[HARD][0] > 0 > items[EASY][0], "in log-odds, of which the skill's usual item has 0"
    again = command(fleet, "fit", "skills", "--from-log", "--out", str(out))
    assert (again["answers"], again["items"]) == (len(given), 0)

    file, alone = tmp_path / "answers.jsonl", tmp_path / "alone.msgpack"
    file.write_text("".join(json.dumps(one) + "\n" for one in given))
    for words in (("ingest", str(file)), ("fit", "skills", "--from-log", "--out", str(alone))):
        run_command(*words, environment=environment(tmp_path / "embedded", {}), check=True)
    one, other = (learned(path).revisions[0].items for path in (alone, out))
    assert one.keys() == other.keys() == {HARD, EASY}
    for item in one:
        assert one[item] == pytest.approx(other[item])
