"""The flood guard as an operator meets it: exit codes, the sentence, and the way out."""

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

from mastery_engine.backends.kafka import logs as kafka_logs
from mastery_engine.backends.kafka.sender import Sender
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topics import ensure_topics
from mastery_engine.backends.sqlite.database import FILE_NAME, Database
from mastery_engine.ports.event_log import REQUESTS_TOPIC
from mastery_engine.wiring_clocks import system_clock
from mastery_engine.worker.flood import MOST
from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis
from tests.support.fleet import bare_fleet
from tests.support.live import environment
from tests.support.processes import COMMAND, run_command

PUT = "INSERT INTO requests (received, tenant, event_id, key, value) VALUES (?, 'default', ?, NULL, ?)"


def command(*words: str, home: Path, timeout: float = 60, **settings: str) -> subprocess.CompletedProcess[str]:
    return run_command(*words, environment=environment(home, settings), timeout=timeout)


def works_until(done: object, *words: str, home: Path, **settings: str) -> int:
    """Run a command until ``done`` says so, then stop it with SIGTERM; its exit code."""
    process = subprocess.Popen(
        [*COMMAND, *words],
        env=environment(home, settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not done():  # type: ignore[operator]
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.terminate()
    return process.wait(30)


async def fill(home: Path, number: int) -> None:
    database = Database(home / FILE_NAME)
    await database.put(PUT, [(system_clock(), f"e-{n}", b"no event") for n in range(number)])
    await database.close()


def table(home: Path, name: str) -> int:
    database = Database(home / FILE_NAME)
    (row,) = database.read(f"SELECT count(*) FROM {name}")
    asyncio.run(database.close())
    return int(row[0])


def test_a_flooded_worker_ends_with_1_until_it_is_told_that_somebody_has_looked(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path, 2 * MOST))
    for words in (["worker"], ["worker"], ["replay"]):
        ended = command(*words, home=tmp_path)
        assert ended.returncode == 1
        assert "mastery-engine worker --after-flood" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert table(tmp_path, "dead_letters") == 0
    code = works_until(lambda: table(tmp_path, "dead_letters") == 2 * MOST, "worker", "--after-flood", home=tmp_path)
    assert code == 0
    assert table(tmp_path, "floods") == 0


@pytest.mark.xdist_group("kafka")
def test_on_kafka_and_redis_too_and_the_next_worker_does_not_take_the_partition_up(
    kafka: Kafka, redis_server: Redis, tmp_path: Path
) -> None:
    bare_fleet(kafka, redis_server, tmp_path)
    settings = {"KAFKA_BROKER": kafka.bootstrap, "REDIS_HOST": redis_server.url, "KAFKA_PARTITIONS": "2"}
    reached = KafkaSettings(kafka.bootstrap, partitions=2)
    asyncio.run(pour(reached, MOST + 100))
    for _ in range(2):
        ended = command("worker", home=tmp_path, **settings)
        assert ended.returncode == 1, ended.stdout
        assert "mastery-engine worker --after-flood" in ended.stderr
    assert asyncio.run(buried(reached)) == 0
    code = works_until(
        lambda: asyncio.run(buried(reached)) == MOST + 100, "worker", "--after-flood", home=tmp_path, **settings
    )
    assert code == 0


async def pour(settings: KafkaSettings, number: int) -> None:
    """Records without sense, all in one partition."""
    await asyncio.to_thread(ensure_topics, settings)
    sender = Sender(settings)
    await sender.send([(REQUESTS_TOPIC, b"one", b"no event", {}) for _ in range(number)])
    await sender.close()


async def buried(settings: KafkaSettings) -> int:
    logs = kafka_logs.open_logs(settings)
    letters = await logs.dead_letters.page(limit=10_000)
    await logs.connection.close()
    return len(letters)
