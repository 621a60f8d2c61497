"""How REDIS_HOST is read: hosts of both families, with and without ports, alone and several."""

from typing import Any

import pytest
from redis.asyncio import RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from mastery_engine.backends.redis.client import connect
from mastery_engine.errors import StartRefused


@pytest.mark.parametrize(
    ("setting", "reached"),
    [
        ("localhost", ("localhost", 6379)),
        ("redis-master:6380", ("redis-master", 6380)),
        ("192.0.2.1:6379", ("192.0.2.1", 6379)),
        ("::1", ("::1", 6379)),
        ("[::1]", ("::1", 6379)),
        ("[2001:db8::7]:6380", ("2001:db8::7", 6380)),
        ("redis://user:pass@[2001:db8::7]:6380/2", ("2001:db8::7", 6380)),
        ("rediss://[::1]", ("::1", 6379)),
    ],
)
def test_one_server(setting: str, reached: tuple[str, int]) -> None:
    given: Any = connect(setting).connection_pool.connection_kwargs  # type: ignore[union-attr]
    assert (given["host"], given.get("port", 6379)) == reached


def test_several_servers() -> None:
    cluster = connect("redis+cluster://[::1]:7000,192.0.2.1:7001,node")
    assert isinstance(cluster, RedisCluster)
    nodes = cluster.nodes_manager.startup_nodes.values()
    assert {(node.host, node.port) for node in nodes} == {("::1", 7000), ("192.0.2.1", 7001), ("node", 6379)}
    behind: Any = connect("redis+sentinel://user:a%3Ab@[::1]:26380,sentinel/main")
    pool = behind.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    asked = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert [(given["host"], given["port"]) for given in asked] == [("::1", 26380), ("sentinel", 26379)]
    assert pool.connection_kwargs["password"] == "a:b"


@pytest.mark.parametrize(
    "setting",
    [
        "host:99999",
        "host:0",
        ":6379",
        "2001:db8::7:6379:secret",
        "http://host",
        "redis://",
        "redis+sentinel://host",
        "redis+sentinel://host:x/main",
        "redis+cluster://host:7000,:7001",
        "redis+cluster://:secret@host:0",
        "[::1",
    ],
)
def test_what_cannot_be_read_is_answered_with_what_can_be_and_without_a_password(setting: str) -> None:
    with pytest.raises(StartRefused, match="brackets") as refused:
        connect(setting)
    assert "secret" not in refused.value.message
