"""Whole runs on servers of their own: the oldest Kafka, and 52,211 events of real learners beside the embedded engine.

Kuzilek, Hlosta, Zdrahal 2017, Scientific Data 4:170171 (CC BY 4.0). The file lies beside the project, not in it.
"""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from mastery_engine.backends.redis import stores as redis_stores
from mastery_engine.backends.sqlite import stores as sqlite_stores
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.evidence.score import MasteryScore, mastery_score
from mastery_engine.domain.moments import SECOND
from mastery_engine.domain.rules import Rules
from mastery_engine.ports.backend import Stores
from mastery_engine.wiring_clocks import system_clock
from scripts.servers.kafka import OLDEST, VERSION, Kafka
from scripts.servers.redis import Redis
from tests.support.fleet import RESULTS, Fleet, Foreign, events
from tests.support.live import environment
from tests.support.processes import run_command
from tests.support.real_servers import RealServers

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(300)]

OULAD = Path(__file__).parents[3] / "shared/data/oulad_events.jsonl.gz"
OULAD_EVENTS, OULAD_STUDENTS = 52_211, 1_500


@contextmanager
def fleet_on(real_servers: RealServers, version: str, home: Path) -> Iterator[Fleet]:
    with (
        real_servers.started(f"Apache Kafka {version}", lambda: Kafka(version=version, home=home / "kafka")) as kafka,
        real_servers.started("Redis", lambda: Redis(home=home / "redis", persistence="none")) as redis,
    ):
        fleet = Fleet(kafka, redis, home)
        yield fleet
        fleet.close()


async def test_the_engine_works_on_the_oldest_kafka(real_servers: RealServers, tmp_path: Path) -> None:
    with fleet_on(real_servers, OLDEST, tmp_path) as fleet:
        fleet.worker()
        api = fleet.api()
        foreign = Foreign(fleet.kafka)
        foreign.put_events(events("old", 300, random.Random(1), students=20))
        foreign.put(b"junk")
        foreign.flush()
        fleet.wait_until_worked()
        truth = await fleet.check()
        assert (len(truth.ids), len(truth.refused)) == (300, 1)
        last = {one.key(): json.loads(one.value() or b"") for one in fleet.records(RESULTS)}
        assert last
        with api.client() as client:
            for said in last.values():
                answer = client.post("/mastery/query", json={"student_id": said["student_id"]})
                current = answer.json()["data"]["current_mastery"]
                assert (said["mastery_score"], said["level"]) == (current["mastery_score"], current["level"])
                assert said["components"] == current["components"]


def ingest(settings: dict[str, str], home: Path) -> Any:
    words = ("ingest", str(OULAD), "--shift-to-now", "--json")
    done = run_command(*words, environment=environment(home, settings), timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def scores(stores: Stores, at: int) -> dict[str, MasteryScore]:
    keys = sorted([key async for key in stores.documents.all_keys()])
    held = await stores.documents.load(keys)
    await stores.connection.close()
    return {
        key.student_id: mastery_score(one.student.evidence, at, Rules())
        for key, one in zip(keys, held, strict=True)
        if one is not None
    }


async def test_real_learners_through_kafka_and_redis_score_as_on_one_machine(
    real_servers: RealServers, tmp_path: Path
) -> None:
    if not OULAD.exists():
        pytest.skip(f"NOT TESTED WITH REAL LEARNERS: {OULAD} is missing")
    with fleet_on(real_servers, VERSION, tmp_path) as fleet:
        fleet.worker()
        apart = ingest(fleet.environment(), tmp_path / "apart")
        alone = ingest({}, tmp_path / "alone")
        assert (apart["accepted"], alone["accepted"]) == (OULAD_EVENTS, OULAD_EVENTS)
        at = system_clock()
        found = await scores(redis_stores.open_stores(fleet.redis.url, retention_days=90, now=monotonic), at)
        days = (apart["shifted_days"] - alone["shifted_days"]) * 86_400 * SECOND  # midnight may lie between the two
        wanted = await scores(
            sqlite_stores.open_stores(Database(tmp_path / "alone" / "mastery.db"), system_clock), at - days
        )
        assert len(found) == OULAD_STUDENTS
        assert found.keys() == wanted.keys()
        for name, score in found.items():
            assert score.components == pytest.approx(wanted[name].components, abs=1e-9), name
            assert (score.score, score.coverage) == pytest.approx((wanted[name].score, wanted[name].coverage), abs=1e-9)
            assert score.level == wanted[name].level
