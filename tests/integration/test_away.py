"""While Redis or Kafka is away or frozen, the service says so soon, and recovers by itself."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from scripts.servers.kafka import Kafka
from scripts.servers.process import Server
from scripts.servers.redis import Redis
from tests.support.calls import event
from tests.support.live import Live
from tests.support.real_servers import RealServers

pytestmark = pytest.mark.xdist_group("kafka")


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def killed(server: Server) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.restart()


def timed(call: Callable[[], httpx.Response]) -> tuple[float, httpx.Response]:
    started = time.monotonic()
    answer = call()
    return time.monotonic() - started, answer


def down(answer: httpx.Response) -> set[str]:
    if answer.status_code == 200:
        return set()
    return {one["name"] for one in answer.json()["error"]["details"]["dependencies"] if one["status"] == "down"}


def comes(condition: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def becomes(client: httpx.Client, names: set[str], seconds: float) -> None:
    """Until just these are down, and perhaps the worker, which waits for them; each answer comes within 5 s."""
    deadline = time.monotonic() + seconds
    while True:
        took, answer = timed(lambda: client.get("/ready"))
        assert took < 5
        if down(answer) - ({"worker"} if names else set()) == names:
            return
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def test_the_service_says_within_seconds_what_is_away_and_recovers(real_servers: RealServers, tmp_path: Path) -> None:
    student = f"away-{uuid4()}"
    with (
        real_servers.started("Apache Kafka", lambda: Kafka(home=tmp_path / "kafka")) as kafka,
        real_servers.started("Redis", lambda: Redis(home=tmp_path / "redis")) as redis,
        Live(
            tmp_path, home=tmp_path / "serve", KAFKA_BROKER=kafka.bootstrap, REDIS_HOST=redis.url, KAFKA_PARTITIONS="2"
        ) as live,
        live.client() as client,
    ):
        sent = event(student_id=student)
        comes(lambda: client.post("/mastery/ingest", json=sent).status_code == 202)
        comes(lambda: client.post("/mastery/query", json={"student_id": student}).status_code == 200)
        comes(lambda: 'mastery_consumer_lag{partition="1"} 0.0' in client.get("/metrics").text)
        metrics = client.get("/metrics").text
        assert "mastery_rebalances_total 1.0" in metrics
        assert "mastery_batch_records_count 1.0" in metrics

        for gone in (frozen, killed):
            with gone(redis):
                time.sleep(1)
                becomes(client, {"store"}, 5)
                for ask in (
                    lambda: client.post("/mastery/query", json={"student_id": student}),
                    lambda: client.post("/analytics/mastery-history", json={"student_id": student}),
                    lambda: client.get(f"/students/{student}/events/{sent['event_id']}"),
                ):
                    took, answer = timed(ask)
                    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
                    assert took < 3
                assert client.get("/health").status_code == 200
            becomes(client, set(), 20)
            assert client.post("/mastery/query", json={"student_id": student}).status_code == 200

            with gone(kafka):
                becomes(client, {"log"}, 10)
                assert client.post("/mastery/query", json={"student_id": student}).status_code == 200
                assert client.get("/health").status_code == 200
            becomes(client, set(), 60)
        later = event(student_id=student)
        comes(lambda: client.post("/mastery/ingest", json=later).status_code == 202)
        status = f"/students/{student}/events/{later['event_id']}"
        comes(lambda: client.get(status).json()["data"]["status"] == "processed")
