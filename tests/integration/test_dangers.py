"""Settings of real servers that lose data, and writes that cannot succeed: start, readiness and commands say so."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from mastery_engine.backends.dapr.client import DaprState, Write
from mastery_engine.backends.dapr.stores import stores_on
from mastery_engine.backends.kafka import sender as sender_module
from mastery_engine.backends.kafka.logs import open_logs
from mastery_engine.backends.kafka.sender import OutgoingMessage, Sender
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.kafka.topics import ensure_topics
from mastery_engine.backends.redis.stores import open_stores
from mastery_engine.backends.sqlite.database import PING_S
from mastery_engine.domain.moments import SECOND
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Danger
from mastery_engine.services.readiness import PATIENCE_S, SHARED_S
from mastery_engine.worker.worker import HINDERED
from scripts.servers.dapr import Dapr
from scripts.servers.kafka import Kafka
from scripts.servers.redis import Redis, RedisCluster, RedisSentinel
from tests.support.calls import event
from tests.support.fakes.dapr_state import MONGODB, REDIS, FakeDaprState
from tests.support.fleet import Foreign, without_topics
from tests.support.live import Live, environment, refused_start
from tests.support.processes import ROOT, run_command
from tests.support.real_servers import RealServers
from tests.support.samples import Clock
from tests.support.sidecars import STATE, component, stores_behind

# The first run of all builds the sidecar.
pytestmark = [pytest.mark.xdist_group("kafka"), pytest.mark.timeout(2_400)]

EVICTS = {"maxmemory": "100mb", "maxmemory-policy": "volatile-lru"}
FORGETS = {"appendonly": "no", "save": ""}
WITHIN_S = 5.0  # what the contract allows, from the first write that cannot succeed
SOON_S = 15.0  # what tests allow on a machine that has more to do


@pytest.fixture(scope="module")
def unsafe(real_servers: RealServers) -> Iterator[Redis]:
    """A server of this module's own, whose settings its tests change."""
    with real_servers.started("Redis", Redis) as server:
        yield server


@contextmanager
def configured(server: Redis, settings: Mapping[str, str]) -> Iterator[None]:
    """Other settings for a while."""
    with server.client() as client:
        before = {name: client.config_get(name)[name] for name in settings}
        for name, value in settings.items():
            client.config_set(name, value)
        try:
            yield
        finally:
            for name, value in reversed(before.items()):  # little memory and a policy that evicts never meet
                client.config_set(name, value)


async def dangers_of(url: str) -> list[Danger]:
    stores = open_stores(url, retention_days=90, now=time.monotonic)
    try:
        return await stores.connection.dangers()
    finally:
        await stores.connection.close()


async def ping(url: str) -> None:
    stores = open_stores(url, retention_days=90, now=time.monotonic)
    try:
        await stores.connection.ping()
    finally:
        await stores.connection.close()


# ---- Redis


async def test_a_redis_as_it_should_be_has_no_dangers(unsafe: Redis) -> None:
    assert await dangers_of(unsafe.url) == []
    for safe in ({"maxmemory": "100mb"}, {"maxmemory-policy": "allkeys-lru"}, {**FORGETS, "save": "60 1"}):
        with configured(unsafe, safe):
            assert await dangers_of(unsafe.url) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (EVICTS, "maxmemory-policy to noeviction"),
        ({**EVICTS, "maxmemory-policy": "allkeys-random"}, "allkeys-random"),
        (FORGETS, "appendonly to yes"),
    ],
)
async def test_a_redis_that_may_lose_students_is_told(unsafe: Redis, settings: dict[str, str], words: str) -> None:
    with configured(unsafe, settings):
        (danger,) = await dangers_of(unsafe.url)
    assert danger.is_certain
    assert words in danger.message
    assert "127.0.0.1" not in danger.message


async def test_a_redis_that_waits_for_its_replicas_takes_no_write(unsafe: Redis) -> None:
    with configured(unsafe, {"min-replicas-to-write": "1"}), pytest.raises(Unavailable, match="min-replicas-to-write"):
        await ping(unsafe.url)


async def test_keys_that_have_gone_already_are_counted(real_servers: RealServers) -> None:
    with real_servers.started("Redis", Redis) as server, server.client() as client:
        memory = client.info("memory")["used_memory"]
        with configured(server, {**EVICTS, "maxmemory": str(memory + 300_000)}):
            for number in range(400):
                client.set(f"student-{number}", b"x" * 4_000, ex=3_600)
            (danger,) = await dangers_of(server.url)
        gone = client.info("stats")["evicted_keys"]
        assert gone > 0
        assert f"It has removed {gone:,} already" in danger.message
        (before,) = await dangers_of(server.url)
    assert (f"removed {gone:,} keys" in before.message, before.is_certain) == (True, False)


async def test_a_replica_is_told_and_takes_no_write(unsafe: Redis, real_servers: RealServers) -> None:
    with real_servers.started("Redis", Redis) as replica, replica.client() as client:
        client.replicaof("127.0.0.1", unsafe.port)
        (danger,) = await dangers_of(replica.url)
        assert "REDIS_HOST" in danger.message
        with pytest.raises(Unavailable, match="is a replica"):
            await ping(replica.url)


async def test_what_a_managed_redis_hides_is_a_milder_warning(unsafe: Redis) -> None:
    with unsafe.client() as client:
        client.acl_setuser("tenant", enabled=True, passwords=["+word"], keys=["*"], categories=["+@all"])
        try:
            url = unsafe.url.replace("redis://", "redis://tenant:word@")
            for hidden, settings, words in (
                ("-config", {}, None),
                ("-config", EVICTS, "noeviction"),
                ("-config", FORGETS, "CONFIG"),
                ("-info", {}, "INFO"),
            ):
                client.acl_setuser("tenant", enabled=True, commands=[hidden])
                with configured(unsafe, settings):
                    told = await dangers_of(url)
                assert [words in danger.message for danger in told if words] == ([True] if words else [])
                assert [danger.is_certain for danger in told] == ([words == "noeviction"] if words else [])
        finally:
            client.acl_deluser("tenant")


async def test_every_master_of_a_cluster_is_looked_at_and_written_to(redis_cluster: RedisCluster) -> None:
    assert await dangers_of(redis_cluster.url) == []
    for node in redis_cluster.nodes:
        with configured(node, EVICTS):
            (danger,) = await dangers_of(redis_cluster.url)
            assert danger.message.startswith("A master of the Redis Cluster")
        await ping(redis_cluster.url)
        with configured(node, {"maxmemory": "1"}), pytest.raises(Unavailable, match="Redis is full"):
            await ping(redis_cluster.url)
    with configured(redis_cluster.nodes[0], EVICTS), configured(redis_cluster.nodes[1], EVICTS):
        assert len(await dangers_of(redis_cluster.url)) == 1


async def test_the_master_behind_sentinels_is_looked_at(redis_sentinel: RedisSentinel) -> None:
    assert await dangers_of(redis_sentinel.url) == []
    with configured(redis_sentinel.master(), EVICTS):
        (danger,) = await dangers_of(redis_sentinel.url)
    assert "noeviction" in danger.message


def arguments(name: str) -> list[str]:
    """How a Redis of ours is started."""
    if name == "docker-compose.yml":
        words: list[str] = yaml.safe_load((ROOT / name).read_text())["services"]["redis"]["command"]
        return words
    (given,) = [
        container["args"]
        for made in yaml.safe_load_all((ROOT / name).read_text())
        if made["kind"] == "StatefulSet"
        for container in made["spec"]["template"]["spec"]["containers"]
    ]
    return list(given)


@pytest.mark.parametrize("name", ["docker-compose.yml", "k8s/30-redis.yaml"])
async def test_the_redis_that_we_bring_is_safe(name: str, real_servers: RealServers) -> None:
    program, *words = arguments(name)
    assert program == "redis-server"
    settings = {option.removeprefix("--"): value for option, value in zip(words[::2], words[1::2], strict=True)}
    settings.pop("dir", None)  # the volume's
    with real_servers.started("Redis", lambda: Redis(persistence="none", settings=settings)) as server:
        assert await dangers_of(server.url) == []


# ---- Kafka


def alter(kafka: Kafka, topic: str, **settings: str) -> None:
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for outcome in admin.incremental_alter_configs([resource]).values():
        outcome.result(20)


@pytest.fixture
def topics(kafka: Kafka) -> Iterator[KafkaSettings]:
    """The engine's topics, which a test may spoil."""
    without_topics(kafka)
    settings = KafkaSettings(kafka.bootstrap, partitions=1)
    ensure_topics(settings)
    yield settings
    without_topics(kafka)


async def test_topics_that_somebody_has_altered_are_told(kafka: Kafka, topics: KafkaSettings) -> None:
    logs = open_logs(topics)
    assert await logs.connection.dangers() == []
    alter(kafka, "mastery.requests", cleanup_policy="compact,delete", message_timestamp_type="CreateTime")
    alter(kafka, "mastery.events", retention_ms="3600000")
    alter(kafka, "mastery.consent", cleanup_policy="delete")
    told = [danger.message for danger in await logs.connection.dangers()]
    await logs.connection.close()
    assert len(told) == 4
    for words in ("requests is compacted", "receiv", "mastery.events keeps records for 0.0417", "mastery.consent"):
        assert any(words in message for message in told), words


def is_frozen(server: Kafka) -> bool:
    """Whether each of its threads has stopped, which takes a while where the machine is busy."""
    states = [
        file.read_text().rpartition(")")[2].split()[0] for file in Path(f"/proc/{server.pid}/task").glob("*/stat")
    ]
    return set(states) == {"T"}


async def test_a_write_that_kafka_does_not_acknowledge_is_seen_while_it_waits(
    kafka: Kafka, topics: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "STALLED_S", 0.5)
    monkeypatch.setattr(sender_module, "DELIVERY_MS", 4_000)
    sender = Sender(topics)
    message: OutgoingMessage = ("mastery.results", b"key", b"value", {})
    await sender.send([message])
    sender.check()
    kafka.pause()
    comes(lambda: is_frozen(kafka), 10)
    try:
        waiting = asyncio.create_task(sender.send([message]))
        await asyncio.sleep(1)
        with pytest.raises(Unavailable, match="acknowledges nothing"):
            sender.check()
        assert not waiting.done()
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable, match="Kafka"):  # there may be no other write soon
            sender.check()
    finally:
        kafka.resume()
    await sender.send([message])
    sender.check()
    await sender.close()


# ---- Dapr


async def test_a_component_whose_keys_expire_is_told_once_its_probe_has_gone(
    real_servers: RealServers, redis_server: Redis, tmp_path: Path
) -> None:
    expiring = component(
        STATE, "state.redis", redisHost=f"127.0.0.1:{redis_server.port}", redisPassword="", ttlInSeconds="1"
    )
    with redis_server.client() as client:
        client.flushall()
    with real_servers.started("Dapr", lambda: Dapr([expiring], home=tmp_path / "expiring")) as sidecar:
        stores = stores_behind(sidecar)
        await stores.connection.ping()
        assert await stores.connection.dangers() == []
        async with asyncio.timeout(20):
            while not (told := await stores.connection.dangers()):
                await asyncio.sleep(1.2)
        assert "ttlInSeconds" in told[0].message
        assert await stores.connection.dangers() == told  # though the probe was written anew
        with configured(redis_server, {"maxmemory": "1"}), pytest.raises(Unavailable, match="refuses") as refused:
            await stores.connection.ping()
        assert "EXECABORT" not in refused.value.message
        assert "OOM" not in refused.value.message
        await stores.connection.close()


async def test_a_component_that_can_tell_of_an_expiry_does(real_servers: RealServers, tmp_path: Path) -> None:
    told = component(STATE, "state.in-memory")
    with real_servers.started("Dapr", lambda: Dapr([told], home=tmp_path / "telling")) as sidecar:
        state = DaprState(STATE, port=sidecar.port)
        await state.change([Write("soon", 0, None, 60), Write("for good", 0, None, None)])
        values = await state.read(["soon", "for good"])
        assert [value.expires for value in values if value] == [True, False]
        stores = stores_on(state, retention_days=90)
        assert await stores.connection.dangers() == []
        await stores.connection.close()


@pytest.mark.parametrize(("kind", "at_once"), [(REDIS, False), (MONGODB, True)])
async def test_an_expiry_is_told_at_once_where_the_component_tells_it(kind: str, at_once: bool) -> None:
    clock = Clock()
    stores = stores_on(FakeDaprState(clock, component=kind, life_s=60).state(), retention_days=90)
    first = await stores.connection.dangers()
    assert [danger.is_certain for danger in first] == ([True] if at_once else [])
    clock.now += 61_000_000
    (danger,) = await stores.connection.dangers()
    assert danger.is_certain == at_once
    await stores.connection.close()


# ---- the service


def test_what_readiness_waits_for_is_less_than_it_may() -> None:
    longest = (PATIENCE_S, sender_module.STALLED_S, HINDERED / SECOND, PING_S)
    assert max(longest) + SHARED_S < WITHIN_S
    assert PING_S < PATIENCE_S  # else the cause could not be named


@pytest.fixture(scope="module")
def live(
    kafka: Kafka, unsafe: Redis, real_servers: RealServers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """The service on Kafka and a Redis that evicts."""
    without_topics(kafka)
    home = tmp_path_factory.mktemp("dangers")
    with configured(unsafe, EVICTS), Live(home / "data", home=home, **servers(kafka, unsafe)) as running:
        yield running


def servers(kafka: Kafka, redis: Redis) -> dict[str, str]:
    return {"KAFKA_BROKER": kafka.bootstrap, "REDIS_HOST": redis.url, "KAFKA_PARTITIONS": "1"}


def dependencies(live: Live) -> dict[str, Any]:
    """What /ready says of each dependency, by name."""
    body = httpx.get(f"{live.url}/ready", timeout=10).json()
    report = body["data"] if body["success"] else body["error"]["details"]
    return {dependency["name"]: dependency for dependency in report["dependencies"]}


def comes(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_danger_is_logged_at_the_start_and_stands_in_readiness(live: Live) -> None:
    comes(lambda: bool(dependencies(live)["store"]["warnings"]), 10)
    answer = httpx.get(f"{live.url}/ready", timeout=10)
    assert answer.status_code == 200
    (warning,) = dependencies(live)["store"]["warnings"]
    assert "volatile-lru" in warning
    assert "127.0.0.1" not in answer.text
    assert dependencies(live)["log"]["warnings"] == dependencies(live)["worker"]["warnings"] == []
    (line,) = [line for line in live.log_text().splitlines() if "volatile-lru" in line]
    assert '"WARNING"' in line


def test_a_full_redis_that_may_not_evict_turns_readiness_to_503_and_back(
    live: Live, kafka: Kafka, unsafe: Redis
) -> None:
    """The worker, which has a batch that it cannot store, says so too."""
    producer, sent = Foreign(kafka), event()
    with configured(unsafe, {"maxmemory-policy": "noeviction", "maxmemory": "1"}):
        comes(lambda: dependencies(live)["store"]["status"] == "down", SOON_S)
        assert "Redis is full" in dependencies(live)["store"]["message"]
        producer.put_events([sent])
        producer.flush()
        comes(lambda: dependencies(live)["worker"]["status"] == "down", SOON_S)
        answer = httpx.get(f"{live.url}/ready", timeout=10)
        assert answer.status_code == 503
        assert "Redis is full" in dependencies(live)["worker"]["message"]
        for hidden in ("Command #", "OOM", "127.0.0.1", "mastery:"):
            assert hidden not in answer.text
    comes(lambda: httpx.get(f"{live.url}/ready", timeout=10).status_code == 200, 20)
    with live.client() as client:
        status = f"/students/{sent['student_id']}/events/{sent['event_id']}"
        comes(lambda: client.get(status).json()["data"]["status"] == "processed", 20)


def test_a_redis_that_becomes_a_replica_turns_readiness_to_503(
    live: Live, unsafe: Redis, real_servers: RealServers
) -> None:
    with real_servers.started("Redis", Redis) as master, unsafe.client() as client:
        client.replicaof("127.0.0.1", master.port)
        try:
            comes(lambda: dependencies(live)["store"]["status"] == "down", SOON_S)
            assert "is a replica" in dependencies(live)["store"]["message"]
        finally:
            client.replicaof("NO", "ONE")
    comes(lambda: httpx.get(f"{live.url}/ready", timeout=10).status_code == 200, 20)


def test_many_who_ask_at_once_cost_one_write(live: Live, unsafe: Redis) -> None:
    def written() -> int:
        return int(client.info("commandstats")["cmdstat_set"]["calls"])

    with unsafe.client() as client, httpx.Client(base_url=live.url) as asking:
        asking.get("/ready")
        before, began = written(), time.monotonic()
        for _ in range(100):
            assert asking.get("/ready").status_code == 200
        assert written() - before <= 1 + (time.monotonic() - began)


def doctor(data_dir: Path, **settings: str) -> tuple[int, list[dict[str, str]]]:
    """The doctor's exit status, and what it found that is not well."""
    done = run_command("doctor", "--json", environment=environment(data_dir, settings))
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, [finding for finding in findings if finding["status"] != "ok"]


def test_the_doctor_finds_each_danger_beside_the_service(
    live: Live, kafka: Kafka, unsafe: Redis, topics_spoiled: None, tmp_path: Path
) -> None:
    status, findings = doctor(live.data_dir, **live.settings)
    assert status == 1
    told = {(finding["about"], finding["status"]) for finding in findings}
    assert told >= {("Redis", "problem"), ("Kafka", "problem")}
    said = " ".join(finding["message"] for finding in findings if finding["about"] in ("Redis", "Kafka"))
    for words in ("volatile-lru", "mastery.requests is compacted"):
        assert words in said
    with configured(unsafe, {"maxmemory-policy": "noeviction", "maxmemory": "1"}):
        _, findings = doctor(tmp_path, **servers(kafka, unsafe))
        (full,) = [finding for finding in findings if finding["about"] == "Redis"]
        assert "Redis is full" in full["message"]


@pytest.fixture
def topics_spoiled(kafka: Kafka) -> Iterator[None]:
    alter(kafka, "mastery.requests", cleanup_policy="compact")
    yield
    alter(kafka, "mastery.requests", cleanup_policy="delete")


PRODUCTION = {"ENVIRONMENT": "production"}


def test_production_refuses_dangerous_servers_unless_told_otherwise(
    live: Live, kafka: Kafka, unsafe: Redis, tmp_path: Path
) -> None:
    given = {**servers(kafka, unsafe), **PRODUCTION, "WORKER_ENABLED": "false"}
    alter(kafka, "mastery.events", retention_ms="3600000")
    refused = refused_start(tmp_path / "refused", **given)
    assert refused.returncode == 1
    for words in ("volatile-lru", "mastery.events", "ALLOW_UNSAFE_SERVERS"):
        assert words in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "Traceback" not in refused.stdout + refused.stderr
    worker = run_command("worker", environment=environment(tmp_path / "worker", given))
    assert worker.returncode == 1
    assert "volatile-lru" in worker.stderr
    with Live(tmp_path / "allowed", home=tmp_path, **given, ALLOW_UNSAFE_SERVERS="true") as allowed:
        comes(lambda: bool(dependencies(allowed)["log"]["warnings"]), 10)
        assert "volatile-lru" in allowed.log_text()


def test_the_doctor_is_content_with_good_servers(
    kafka: Kafka, topics: KafkaSettings, redis_server: Redis, tmp_path: Path
) -> None:
    assert doctor(tmp_path / "data", **servers(kafka, redis_server)) == (0, [])
