"""Cohorts and limits on a real Redis, alone and as a Cluster."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import time_ns

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.redis.client import connect
from mastery_engine.backends.redis.rate_windows import RedisWindows
from mastery_engine.backends.redis.store import RedisStore
from mastery_engine.http.limits import Limits
from mastery_engine.ports.documents import Store
from scripts.servers.cache import free_port
from scripts.servers.redis import Redis, RedisCluster
from tests.ports.test_cohorts import SUITE

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


@pytest.fixture
async def store(request: pytest.FixtureRequest, server: str) -> AsyncIterator[Store]:
    opened = RedisStore(connect(emptied(request, server)), retention_days=90)
    yield opened
    await opened.close()


@pytest.mark.parametrize("check", SUITE, ids=lambda check: check.__name__)
async def test_cohorts(store: Store, check: Callable[[Store], Awaitable[None]]) -> None:
    await check(store)


async def test_replicas_share_a_callers_window(request: pytest.FixtureRequest, server: str) -> None:
    url = emptied(request, server)
    async with connect(url) as one, connect(url) as other:
        replicas = [Limits(RedisWindows(client), lambda: time_ns() // 1_000) for client in (one, other)]
        found = [await replicas[n % 2].take(STUDENT, "/mastery/query") for n in range(51)]
    assert [one.is_over for one in found if one] == [False] * 50 + [True]
    assert [one.remaining for one in found if one][:3] == [49, 48, 47]
    with request.getfixturevalue(server).client() as client:
        names = [name.decode() for name in client.scan_iter("*limits*")]
    assert names
    assert not any("ada" in name for name in names)


async def test_without_redis_nobody_is_held_back(server: str, caplog: pytest.LogCaptureFixture) -> None:
    async with connect(f"127.0.0.1:{free_port()}") as client:
        limits = Limits(RedisWindows(client), lambda: time_ns() // 1_000)
        async with asyncio.timeout(5):
            assert [await limits.take(STUDENT, "/mastery/query") for _ in range(60)] == [None] * 60
    assert [record.levelname for record in caplog.records if "not limited" in record.message] == ["WARNING"]
