"""Workers, Redis and Kafka that die, freeze and come back under load: nothing is lost, nothing counts twice."""

import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.fleet import DEAD, Fleet, Load, headers, pause, seed, until
from tests.support.live import Live
from tests.support.real_servers import RealServers

pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def servers(real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Redis with snapshots only: killed, it loses its last seconds."""
    home = tmp_path_factory.mktemp("faults")
    with (
        real_servers.started("Apache Kafka", lambda: Kafka(home=home / "kafka")) as kafka,
        real_servers.started("Redis", lambda: Redis(home=home / "redis", persistence="snapshots")) as redis,
    ):
        yield Fleet(kafka, redis, home)


@pytest.fixture
def fleet(servers: Fleet) -> Iterator[Fleet]:
    yield servers
    servers.close()


def away(api: Live) -> set[str]:
    """What /ready says is away; it says so within seconds."""
    answer = httpx.get(f"{api.url}/ready", timeout=12)
    if answer.status_code == 200:
        return set()
    assert answer.status_code == 503
    dependencies: list[dict[str, Any]] = answer.json()["error"]["details"]["dependencies"]
    return {one["name"] for one in dependencies if one["status"] == "down"}


async def test_of_three_workers_one_is_killed_one_stopped_one_frozen(fleet: Fleet) -> None:
    chance = random.Random(seed())
    killed, stopped, frozen = (fleet.worker() for _ in range(3))
    with Load(fleet, "three", chance) as load:
        pause(2)
        killed.kill()
        pause(1)
        frozen.pause()
        pause(3.5)  # its session is over after 2
        frozen.resume()
        pause(1)
        stopped.stop()
        assert stopped.exit_code == 0, stopped.log_text()[-3_000:]
        fleet.worker()
        pause(1)
    fleet.wait_until_worked()
    assert frozen.exit_code is None, frozen.log_text()[-3_000:]
    truth = await fleet.check()
    assert load.ids <= truth.ids
    assert len(load.sent) > 500


async def test_redis_and_kafka_are_killed_and_come_back(fleet: Fleet) -> None:
    chance = random.Random(seed())
    worker, api = fleet.worker(), fleet.api()
    before = len(fleet.records(DEAD))
    with Load(fleet, "away", chance) as load:
        pause(3)
        fleet.redis.kill()
        until(lambda: away(api) == {"store"})
        fleet.redis.start()
        until(lambda: away(api) == set())
        pause(1)
        fleet.kafka.kill()
        until(lambda: away(api) == {"log"})
        fleet.kafka.start()
        until(lambda: away(api) == set())
        pause(1)
        fleet.redis.kill()
        fleet.kafka.kill()
        until(lambda: away(api) == {"log", "store"})
        fleet.redis.start()
        fleet.kafka.start()
        until(lambda: away(api) == set())
    fleet.wait_until_worked(40)
    assert worker.exit_code is None
    truth = await fleet.check()
    assert load.ids <= truth.ids
    for letter in fleet.records(DEAD)[before:]:
        assert headers(letter)["dlq.code"] == "VALIDATION_ERROR"
    waits = [line for line in worker.log_text().splitlines() if "the worker cannot go on yet" in line]
    assert 1 <= len(waits) <= 20, waits


async def test_an_idle_worker_notices_a_redis_without_its_last_seconds(fleet: Fleet) -> None:
    chance = random.Random(seed())
    worker = fleet.worker()
    with Load(fleet, "idle", chance):
        pause(1.5)
    fleet.wait_until_worked()
    fleet.redis.save()
    with Load(fleet, "late", chance):
        pause(0.4)
    fleet.wait_until_worked()
    fleet.redis.kill()
    fleet.redis.start()
    until(lambda: "is filled again" in worker.log_text() or "is read again" in worker.log_text(), 15)
    pause(2)
    fleet.wait_until_worked()
    await fleet.check()


async def test_a_worker_ends_well_while_redis_is_away(fleet: Fleet) -> None:
    worker = fleet.worker()
    with Load(fleet, "ends", random.Random(seed())):
        pause(1)
        fleet.redis.kill()
        pause(1)
        worker.stop(grace=20)
        fleet.redis.start()
    assert worker.exit_code == 0
    fleet.worker()
    fleet.wait_until_worked()
    await fleet.check()
