"""Results are cached for five minutes under their version."""

import pytest

from mastery_engine.backends.memory.result_cache import MemoryResultCache
from mastery_engine.backends.redis.client import connect, disconnect
from mastery_engine.backends.redis.result_cache import RedisResultCache
from mastery_engine.domain.moments import SECOND
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.result_cache import LIFE_S, ResultKey
from scripts.servers.redis import Redis
from tests.support.samples import Clock
from tests.support.stores import stores_fixture

stores = stores_fixture()

ADA = ResultKey("default", "ada", "forecast")


async def test_a_result_is_found_under_its_version_alone(stores: Stores) -> None:
    results = stores.results
    assert await results.get(ADA, "1") is None
    await results.put(ADA, "1", b"one")
    assert await results.get(ADA, "1") == b"one"
    assert await results.get(ADA, "2") is None
    await results.put(ADA, "2", b"")
    assert (await results.get(ADA, "1"), await results.get(ADA, "2")) == (None, b"")


async def test_a_version_is_any_text(stores: Stores) -> None:
    versions = ["", "1", "11", "größe", "7-2026-01-14", "x" * 300, "\x00", "1\x00"]
    for version in versions:
        await stores.results.put(ADA, version, version.encode())
        found = [await stores.results.get(ADA, other) for other in versions]
        assert found == [version.encode() if other == version else None for other in versions]


async def test_a_result_is_any_bytes(stores: Stores) -> None:
    for value in (b"\x00", bytes(range(256)), b"x" * 100_000):
        await stores.results.put(ADA, "1", value)
        assert await stores.results.get(ADA, "1") == value


async def test_tenants_students_and_kinds_are_apart(stores: Stores) -> None:
    results = stores.results
    keys = [ResultKey(tenant, name, kind) for tenant in "ab" for name in ("x", "y") for kind in ("forecast", "cohort")]
    for number, key in enumerate(keys):
        await results.put(key, "7", b"%d" % number)
    assert [await results.get(key, "7") for key in keys] == [b"%d" % number for number in range(8)]
    await results.drop("a", "x")
    await results.drop("a", "nobody")
    left = [None, None, *[b"%d" % number for number in range(2, 8)]]
    assert [await results.get(key, "7") for key in keys] == left
    await results.put(keys[0], "7", b"again")
    assert await results.get(keys[0], "7") == b"again"


async def test_memory_forgets_after_five_minutes_and_the_oldest_first() -> None:
    clock = Clock()
    results = MemoryResultCache(clock, most=2)
    bob, eve = ADA._replace(subject="bob"), ADA._replace(subject="eve")
    await results.put(ADA, "1", b"a")
    clock.tick(LIFE_S * SECOND - 1)
    assert await results.get(ADA, "1") == b"a"
    clock.tick(1)
    assert await results.get(ADA, "1") is None
    await results.drop("default", "ada")
    for key in (ADA, bob, ADA, eve):
        await results.put(key, "1", b"x")
    assert [await results.get(key, "1") for key in (ADA, bob, eve)] == [b"x", None, b"x"]


@pytest.mark.xdist_group("kafka")
async def test_redis_forgets_after_five_minutes(redis_server: Redis) -> None:
    with redis_server.client() as own:
        own.flushall()
    client = connect(redis_server.url)
    await RedisResultCache(client).put(ADA, "1", b"a")
    await disconnect(client)
    with redis_server.client() as own:
        lives = [own.ttl(name) for name in own.keys("mastery:{default:ada}:k*")]
    assert len(lives) == 2
    assert all(LIFE_S - 30 < life <= LIFE_S for life in lives)


@pytest.mark.xdist_group("kafka")
async def test_what_an_older_engine_cached_in_redis_is_not_found(redis_server: Redis) -> None:
    with redis_server.client() as own:
        own.set("mastery:{default:ada}:k:forecast", (7).to_bytes(8, "big") + b"value")
    client = connect(redis_server.url)
    assert await RedisResultCache(client).get(ADA, "7") is None
    await RedisResultCache(client).put(ADA, "7", b"a")
    assert await RedisResultCache(client).get(ADA, "7") == b"a"
    await disconnect(client)


async def test_a_redis_that_is_away_has_nothing_and_only_an_erasure_must_know() -> None:
    client = connect("127.0.0.1:1")
    results = RedisResultCache(client)
    assert await results.get(ADA, "1") is None
    await results.put(ADA, "1", b"a")
    with pytest.raises(Unavailable):
        await results.drop("default", "ada")
    await disconnect(client)
