"""The rate limits' windows on a real Redis, alone and as a Cluster."""

import asyncio
from time import time_ns

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.auth.limits import Limits
from mastery_engine.backends.redis.rate_windows import open_windows
from mastery_engine.errors import Unavailable
from scripts.servers.cache import free_port
from scripts.servers.redis import Redis, RedisCluster

SERVERS = [
    pytest.param("redis_server", marks=pytest.mark.xdist_group("redis")),
    pytest.param("redis_cluster", marks=pytest.mark.xdist_group("redis-cluster")),
]
pytestmark = pytest.mark.parametrize("server", SERVERS)
STUDENT = Caller("ada", "student")


def emptied(request: pytest.FixtureRequest, server: str) -> str:
    found: Redis | RedisCluster = request.getfixturevalue(server)
    with found.client() as client:
        client.flushall()
    return found.url


async def test_replicas_share_a_callers_window(request: pytest.FixtureRequest, server: str) -> None:
    url = emptied(request, server)
    opened = [open_windows(url) for _ in range(2)]
    replicas = [Limits(windows) for windows, _ in opened]
    taken = [await replicas[turn % 2].take(STUDENT, "query", time_ns() // 1_000) for turn in range(51)]
    for _, connection in opened:
        await connection.ping()
        await connection.close()
    assert [allowance.is_over for allowance in taken if allowance] == [False] * 50 + [True]
    assert [allowance.remaining for allowance in taken if allowance][:3] == [49, 48, 47]
    with request.getfixturevalue(server).client() as client:
        names = [name.decode() for name in client.scan_iter("*limits*")]
    assert names
    assert not any("ada" in name for name in names)


async def test_without_redis_nobody_is_held_back(server: str, caplog: pytest.LogCaptureFixture) -> None:
    windows, connection = open_windows(f"127.0.0.1:{free_port()}")
    limits = Limits(windows)
    async with asyncio.timeout(5):
        taken = [await limits.take(STUDENT, "query", time_ns() // 1_000) for _ in range(60)]
    assert taken == [None] * 60
    assert [record.levelname for record in caplog.records if "rate limits are off" in record.message] == ["WARNING"]
    with pytest.raises(Unavailable):
        await connection.ping()
    await connection.close()
