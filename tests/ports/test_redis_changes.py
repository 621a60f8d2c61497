"""The cache in front of a real Redis: it hears of others' writes, and stops answering when it hears nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from time import monotonic

import pytest

from mastery_engine.backends.redis.changes import changes
from mastery_engine.backends.redis.client import connect
from mastery_engine.backends.redis.document_cache import CachedDocuments
from mastery_engine.backends.redis.store import RedisStore
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import Change
from scripts.servers.redis import Redis
from tests.ports.test_store import student

pytestmark = pytest.mark.xdist_group("redis")
ADA = StudentKey("default", "cached-ada")


class Place:
    """A replica: its cache, and the store beneath it, whose loads are counted."""

    def __init__(self, url: str) -> None:
        client = connect(url)
        self.store = RedisStore(client, retention_days=1)
        self.cache = CachedDocuments(self.store, now=monotonic, watch=partial(changes, client, monotonic))

    async def version(self) -> int:
        (held,) = await self.cache.load([ADA])
        return held.version if held else 0

    async def close(self) -> None:
        await self.cache.close()
        await self.store.close()


@pytest.fixture
async def here(redis_server: Redis) -> AsyncIterator[Place]:
    with redis_server.client() as client:
        client.flushall()
    place = Place(redis_server.url)
    await place.store.commit([Change(ADA, 0, student(1))])
    await place.version()
    yield place
    await place.close()


async def vouched(place: Place) -> None:
    """Until the cache answers by itself for longer than it would unheard."""
    async with asyncio.timeout(10):
        while place.cache._vouched < monotonic() - 0.5:
            await asyncio.sleep(0.02)


async def test_anothers_write_is_seen_within_moments_and_what_did_not_change_is_not_read_again(
    here: Place, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Place(redis_server.url)
    await vouched(here)
    reads = 0
    load = here.store.load

    async def counting(keys: list[StudentKey]) -> object:
        nonlocal reads
        reads += 1
        return await load(keys)

    monkeypatch.setattr(here.store, "load", counting)
    slowest = 0.0
    for version in range(1, 30):
        assert await here.version() == version
        await there.store.commit([Change(ADA, version, student(version))])
        started = monotonic()
        while await here.version() == version:
            await asyncio.sleep(0.0005)
        slowest = max(slowest, monotonic() - started)
    assert slowest < 0.5
    before, until = reads, monotonic() + 2
    while monotonic() < until:
        assert await here.version() == 30
        await asyncio.sleep(0.02)
    assert reads <= before + 1
    await there.close()


async def test_while_redis_is_frozen_nothing_is_answered_that_is_older_than_a_second(
    here: Place, redis_server: Redis
) -> None:
    await vouched(here)
    assert redis_server.pid is not None
    os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await here.version()
    finally:
        os.kill(redis_server.pid, signal.SIGCONT)
    await vouched(here)
    assert await here.version() == 1


async def test_a_redis_that_was_killed_is_away_and_is_heard_again_afterwards(here: Place, redis_server: Redis) -> None:
    await vouched(here)
    redis_server.kill()
    try:
        await asyncio.sleep(1)
        started = monotonic()
        with pytest.raises(Unavailable):
            await here.version()
        assert monotonic() - started < 2
    finally:
        redis_server.restart()
    await vouched(here)
    assert await here.version() == 1
