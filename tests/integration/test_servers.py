"""The real servers that other tests lean on: each answers a client, keeps its data, leaves no process."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from redis.sentinel import Sentinel

from scripts.servers.cache import Unavailable, cached, free_port, is_free, run
from scripts.servers.certificate import make_certificate
from scripts.servers.kafka import OLDEST, Kafka
from scripts.servers.process import StartFailed
from scripts.servers.redis import SERVICE, Redis, RedisCluster, RedisSentinel
from tests.support.real_servers import RealServers

ROOT = Path(__file__).parents[2]


def make_topic(kafka: Kafka, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})  # must outlive the call
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(20)


def produce(topic: str, value: bytes, **client: str) -> None:
    failures: list[object] = []
    producer = Producer({**dotted(client), "message.timeout.ms": 20_000})
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(30) == 0
    assert failures == [None]


def consume(topic: str, **client: str) -> bytes | None:
    """The first record."""
    consumer = Consumer({**dotted(client), "group.id": f"reader-{uuid4()}", "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe([topic])
        record = consumer.poll(30)
        assert record is not None
        assert record.error() is None
        return record.value()
    finally:
        consumer.close()


def dotted(client: dict[str, str]) -> dict[str, str | int | float | bool]:
    return {key.replace("_", "."): value for key, value in client.items()}


def is_gone(pid: int | None) -> bool:
    return pid is not None and not Path(f"/proc/{pid}").exists()


def comes_true(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_kafka_keeps_a_record_over_kill_and_restart(kafka: Kafka) -> None:
    make_topic(kafka, "kept")
    produce("kept", b"evidence", bootstrap_servers=kafka.bootstrap)
    before = kafka.pid

    kafka.kill()
    assert is_gone(before)
    kafka.restart()

    assert consume("kept", bootstrap_servers=kafka.bootstrap) == b"evidence"


def test_kafka_refuses_a_topic_that_nobody_made(kafka: Kafka) -> None:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "lost"})
    try:
        consumer.subscribe(["nowhere"])
        record = consumer.poll(10)
        assert record is not None
        assert record.error() is not None
    finally:
        consumer.close()


def test_kafka_of_the_oldest_line_answers_and_leaves_no_process(real_servers: RealServers, tmp_path: Path) -> None:
    with real_servers.started("Apache Kafka 3.5", lambda: Kafka(version=OLDEST, home=tmp_path)) as kafka:
        make_topic(kafka, "old")
        produce("old", b"evidence", bootstrap_servers=kafka.bootstrap)
        assert consume("old", bootstrap_servers=kafka.bootstrap) == b"evidence"
        before = kafka.pid
    assert is_gone(before)


def test_kafka_with_password_and_tls(real_servers: RealServers, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    sasl = ("engine", "secret")
    with real_servers.started("Apache Kafka", lambda: Kafka(sasl=sasl, certificate=certificate)) as kafka:
        make_topic(kafka, "guarded")
        secured = {
            "bootstrap_servers": kafka.secured,
            "security_protocol": kafka.security_protocol,
            "sasl_mechanism": "PLAIN",
            "sasl_username": "engine",
            "sasl_password": "secret",
            "ssl_ca_location": str(certificate.authority),
        }
        produce("guarded", b"evidence", **secured)
        assert consume("guarded", **secured) == b"evidence"
        stranger = AdminClient({**dotted(secured | {"sasl_password": "guessed"}), "log_level": 0})
        with pytest.raises(KafkaException):
            stranger.list_topics(timeout=3)


def test_redis_keeps_a_value_over_kill_and_restart(real_servers: RealServers) -> None:
    with (
        real_servers.started("Redis", lambda: Redis(persistence="always")) as server,
        server.client() as client,
    ):
        client.set("kept", "evidence")
        before = server.pid
        server.kill()
        assert is_gone(before)
        server.restart()
        assert client.get("kept") == b"evidence"


def test_redis_with_snapshots_loses_what_came_after_the_last(real_servers: RealServers) -> None:
    with real_servers.started("Redis", lambda: Redis(persistence="snapshots")) as server:
        with server.client() as client:
            client.set("saved", 1)
            server.save()
            client.set("late", 1)
            server.kill()
            server.restart()
            assert client.keys() == [b"saved"]
        before, home = server.pid, server.home
    assert is_gone(before)
    assert not home.exists()


def test_redis_freezes_and_goes_on(redis_server: Redis) -> None:
    with redis_server.client(socket_timeout=0.3, retry=None) as client:
        client.set("frozen", 1)
        redis_server.pause()
        try:
            with pytest.raises(redis.TimeoutError):
                client.get("frozen")
        finally:
            redis_server.resume()
        assert client.get("frozen") == b"1"


def test_redis_with_password(real_servers: RealServers) -> None:
    with (
        real_servers.started("Redis", lambda: Redis(password="pass word")) as server,
        server.client() as client,
    ):
        assert client.ping()
        with (
            redis.Redis(port=server.port, password="guessed", retry=None) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()


def test_redis_with_tls(real_servers: RealServers, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with real_servers.started("Redis with TLS", lambda: Redis(certificate=certificate)) as server:
        assert server.url.startswith("rediss://")
        with server.client() as client:
            assert client.set("k", "v")


def test_redis_cluster_keeps_all_slots_over_kill_and_restart(redis_cluster: RedisCluster) -> None:
    with redis_cluster.client() as client:
        for number in range(30):
            client.set(f"kept-{number}", number)
    assert all(node.client().dbsize() for node in redis_cluster.nodes)

    before = [node.pid for node in redis_cluster.nodes]
    redis_cluster.kill()
    assert all(map(is_gone, before))
    redis_cluster.restart()

    with redis_cluster.client() as client:
        assert [client.get(f"kept-{number}") for number in range(30)] == [b"%d" % number for number in range(30)]


def test_sentinel_makes_the_replica_the_master(real_servers: RealServers) -> None:
    with real_servers.started("Redis Sentinel", RedisSentinel) as group:
        before = [member.pid for member in group.members]
        sentinel = Sentinel([("127.0.0.1", group.sentinel.port)])
        with sentinel.master_for(SERVICE) as client:
            client.set("kept", "evidence")
            client.wait(1, 5000)
            assert group.master() is group.first
            group.first.kill()
            assert comes_true(lambda: group.master() is group.second, 30)
        with sentinel.master_for(SERVICE) as client:
            assert client.get("kept") == b"evidence"
        group.first.restart()
        group.wait()
        with group.first.client() as client:
            assert client.role()[0] == b"slave"
    assert all(map(is_gone, before))


def test_what_cannot_start_says_why(real_servers: RealServers) -> None:
    with (
        pytest.raises(StartFailed, match="no-such-directive"),
        real_servers.started("Redis", lambda: Redis(settings={"no-such-directive": "1"})),
    ):
        pass


def test_nothing_outlives_a_killed_run(redis_server: Redis) -> None:
    code = (
        "import threading, time\n"
        "from scripts.servers.redis import Redis\n"
        "server = Redis()\n"
        "thread = threading.Thread(target=server.start)\n"
        "thread.start()\n"
        "thread.join()\n"
        "time.sleep(0.3)  # the server must outlive the thread that asked for it\n"
        "print(server.pid, server.home, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, home = parent.stdout.readline().split()
        assert not is_gone(int(pid))
        parent.kill()
    assert comes_true(lambda: is_gone(int(pid)))
    shutil.rmtree(home)  # the one thing that a kill -9 leaves


def test_builds_are_made_once_and_wholly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def broken(folder: Path) -> None:
        (folder / "half").touch()
        run(["false"])

    with pytest.raises(Unavailable, match="false ended with 1"):
        cached("thing", "1", broken)
    made = cached("thing", "1", lambda folder: (folder / "whole").touch())
    assert [path.name for path in made.iterdir()] == ["whole"]
    assert cached("thing", "1", broken) == made


def test_ports_are_given_once() -> None:
    ports = [free_port() for _ in range(5)]
    assert len(set(ports)) == 5
    assert all(map(is_free, ports))


def test_services_for_a_developer_end_on_sigterm(redis_server: Redis, kafka: Kafka) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.servers"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as services:
        assert services.stdout is not None
        lines = [services.stdout.readline() for _ in range(2)]
        services.send_signal(signal.SIGTERM)
        assert services.wait(30) == 0
    exported = dict(line.removeprefix("export ").strip().split("=") for line in lines)
    assert exported.keys() == {"KAFKA_BROKER", "REDIS_HOST"}
    assert all(is_free(int(address.rpartition(":")[2])) for address in exported.values())
