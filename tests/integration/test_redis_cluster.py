"""A Redis Cluster whose slots are not served, or move, under the store: it waits or follows, and never breaks."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
import redis

from mastery_engine.backends.redis.stores import open_stores
from mastery_engine.domain.student import NOBODY, DocumentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.documents import DocumentChange
from scripts.servers.redis import Redis, RedisCluster
from tests.support.real_servers import RealServers

pytestmark = pytest.mark.xdist_group("kafka")

KEYS = [DocumentKey("default", f"s{number}") for number in range(60)]


def opened(url: str) -> Stores:
    return open_stores(url, retention_days=90, now=monotonic)


@pytest.fixture
def cluster(real_servers: RealServers, tmp_path: Path) -> Iterator[RedisCluster]:
    with real_servers.started("Redis Cluster", lambda: RedisCluster(home=tmp_path)) as cluster:
        yield cluster


def slot_of(key: DocumentKey, node: Redis) -> int:
    with node.client() as client:
        return int(client.execute_command("CLUSTER KEYSLOT", f"{key.tenant}:{key.student_id}"))


def owner(cluster: RedisCluster, slot: int) -> Redis:
    """The node that serves a slot of the three even shares."""
    return cluster.nodes[next(number for number, end in enumerate((5461, 10923, 16384)) if slot < end)]


async def test_a_cold_client_takes_many_calls_at_once(cluster: RedisCluster) -> None:
    """Just after its start the nodes' maps differ: the calls are sent on, and none breaks another's connection."""
    for _ in range(10):
        stores = opened(cluster.url)
        assert await asyncio.gather(*(stores.documents.load(KEYS[n : n + 2]) for n in range(40))) == [[None, None]] * 40
        await stores.connection.close()


async def test_a_node_that_is_gone_is_an_unavailable_store_until_it_is_back(cluster: RedisCluster) -> None:
    stores = opened(cluster.url)
    assert all(await stores.documents.commit([DocumentChange(key, 0, NOBODY) for key in KEYS]))
    checkpoints = await stores.checkpoints.read("log")
    cluster.nodes[1].kill()
    for _ in range(3):  # refused connections at first; later the others say CLUSTERDOWN
        with pytest.raises(Unavailable):
            await stores.documents.load(KEYS)
        with pytest.raises(Unavailable):
            await stores.documents.commit([DocumentChange(key, 1, NOBODY) for key in KEYS])
        with pytest.raises(Unavailable):
            await stores.checkpoints.move("log", {0: 0}, {0: 1}, checkpoints.server_epoch)
        await asyncio.sleep(1)
    cluster.nodes[1].restart()
    cluster.wait()
    async with asyncio.timeout(20):
        while True:
            try:
                held = await stores.documents.load(KEYS)
                break
            except Unavailable:
                await asyncio.sleep(0.1)
    assert all(one is not None for one in held)
    await stores.connection.close()


async def test_a_cluster_that_was_never_there_is_unavailable() -> None:
    stores = opened("redis+cluster://127.0.0.1:1")
    with pytest.raises(Unavailable):
        await stores.documents.load(KEYS)
    with pytest.raises(Unavailable):
        await stores.connection.ping()
    await stores.connection.close()


async def test_a_slot_that_moves_is_followed(cluster: RedisCluster) -> None:
    """While it moves, its node asks clients to try again or elsewhere; afterwards it names the new one."""
    stores, key = opened(cluster.url), KEYS[0]
    assert await stores.documents.commit([DocumentChange(key, 0, NOBODY, {1: b"x" * 8})]) == [True]
    slot = slot_of(key, cluster.nodes[0])
    source = owner(cluster, slot)
    target = next(node for node in cluster.nodes if node is not source)
    with source.client() as old, target.client() as new:
        ids = {node: one.execute_command("CLUSTER MYID") for node, one in ((source, old), (target, new))}
        new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
        old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
        first, second = sorted(old.execute_command("CLUSTER GETKEYSINSLOT", slot, 10))
        move(old, target, first)  # one of two: a script over both can run nowhere now
        with pytest.raises(Unavailable):
            await stores.documents.commit([DocumentChange(key, 1, NOBODY)])
        move(old, target, second)
        for one in (new, old):
            one.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target])
    assert await stores.documents.commit([DocumentChange(key, 1, NOBODY)]) == [True]
    assert [held and held.version for held in await stores.documents.load([key])] == [2]
    assert await stores.documents.load_cold([key]) == [{1: b"x" * 8}]
    assert await stores.results.drop(*key.student) is None
    await stores.connection.close()


def move(old: redis.Redis, target: Redis, name: bytes) -> None:
    old.execute_command("MIGRATE", "127.0.0.1", target.port, name, 0, 5_000)
