"""What was worked out is kept for five minutes under its version, in memory or in Redis: one suite over both."""

from collections.abc import AsyncIterator

import pytest

from mastery_engine.backends.redis.client import connect, disconnect
from mastery_engine.backends.redis.result_cache import KeptInRedis
from mastery_engine.domain.moments import SECOND
from mastery_engine.errors import Unavailable
from mastery_engine.ports.result_cache import LIFE_S, Kept, KeptInMemory, KeptKey
from scripts.servers.redis import Redis, RedisCluster
from tests.support.samples import Clock

ADA = KeptKey("default", "ada", "forecast")


REAL = [pytest.param(name, marks=pytest.mark.xdist_group("kafka")) for name in ("redis_server", "redis_cluster")]


@pytest.fixture(params=["memory", *REAL])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    if request.param == "memory":
        yield KeptInMemory(Clock())
        return
    server: Redis | RedisCluster = request.getfixturevalue(request.param)
    for node in server.nodes if isinstance(server, RedisCluster) else [server]:
        with node.client() as emptied:
            emptied.flushall()
    client = connect(server.url)
    yield KeptInRedis(client)
    await disconnect(client)


async def test_a_value_is_found_under_its_version_alone(kept: Kept) -> None:
    assert await kept.kept(ADA, 1) is None
    await kept.keep(ADA, 1, b"one")
    assert await kept.kept(ADA, 1) == b"one"
    assert await kept.kept(ADA, 2) is None
    await kept.keep(ADA, 2, b"")
    assert (await kept.kept(ADA, 1), await kept.kept(ADA, 2)) == (None, b"")


async def test_tenants_students_and_kinds_are_apart(kept: Kept) -> None:
    keys = [KeptKey(tenant, name, kind) for tenant in "ab" for name in ("x", "y") for kind in ("forecast", "cohort")]
    for number, key in enumerate(keys):
        await kept.keep(key, 7, b"%d" % number)
    assert [await kept.kept(key, 7) for key in keys] == [b"%d" % number for number in range(8)]
    await kept.drop("a", "x")
    await kept.drop("a", "nobody")
    assert [await kept.kept(key, 7) for key in keys] == [None, None, *[b"%d" % number for number in range(2, 8)]]
    await kept.close()


async def test_memory_forgets_after_five_minutes_and_the_oldest_first() -> None:
    clock = Clock()
    kept = KeptInMemory(clock, most=2)
    bob, eve = ADA._replace(subject="bob"), ADA._replace(subject="eve")
    await kept.keep(ADA, 1, b"a")
    clock.tick(LIFE_S * SECOND - 1)
    assert await kept.kept(ADA, 1) == b"a"
    clock.tick(1)
    assert await kept.kept(ADA, 1) is None
    for key in (ADA, bob, ADA, eve):
        await kept.keep(key, 1, b"x")
    assert [await kept.kept(key, 1) for key in (ADA, bob, eve)] == [b"x", None, b"x"]


@pytest.mark.xdist_group("kafka")
async def test_redis_forgets_after_five_minutes(redis_server: Redis) -> None:
    client = connect(redis_server.url)
    await KeptInRedis(client).keep(ADA, 1, b"a")
    await disconnect(client)
    with redis_server.client() as own:
        lives = [own.ttl(name) for name in own.keys("mastery:{default:ada}:k*")]
    assert len(lives) == 2
    assert all(LIFE_S - 30 < life <= LIFE_S for life in lives)


async def test_a_redis_that_is_away_has_nothing_and_only_an_erasure_must_know() -> None:
    client = connect("127.0.0.1:1")
    kept = KeptInRedis(client)
    assert await kept.kept(ADA, 1) is None
    await kept.keep(ADA, 1, b"a")
    with pytest.raises(Unavailable):
        await kept.drop("default", "ada")
    await disconnect(client)
