"""The cache in front of a real Redis: it hears of others' writes, and stops answering when it hears nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from time import monotonic

import pytest
from redis.asyncio import Redis as Client

from mastery_engine.backends.redis.changes import changes
from mastery_engine.backends.redis.client import connect, disconnect
from mastery_engine.backends.redis.document_cache import DocumentCache
from mastery_engine.backends.redis.documents import RedisDocuments
from mastery_engine.backends.redis.keys import life_ms
from mastery_engine.domain.student import DocumentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import DocumentChange
from scripts.servers.redis import Redis
from tests.support.stores import student

pytestmark = pytest.mark.xdist_group("redis")
ADA = DocumentKey("default", "cached-ada")


class Replica:
    """A cache, and the documents beneath it."""

    def __init__(self, url: str) -> None:
        client = connect(url)
        assert isinstance(client, Client)
        self._client = client
        self.documents = RedisDocuments(self._client, life_ms=life_ms(1))
        self.cache = DocumentCache(self.documents, now=monotonic, watch=partial(changes, self._client, monotonic))

    async def version(self) -> int:
        (stored,) = await self.cache.load([ADA])
        return stored.version if stored else 0

    async def close(self) -> None:
        await self.cache.close()
        await disconnect(self._client)


@pytest.fixture
async def here(redis_server: Redis) -> AsyncIterator[Replica]:
    with redis_server.client() as client:
        client.flushall()
    replica = Replica(redis_server.url)
    await replica.documents.commit([DocumentChange(ADA, 0, student(1))])
    await replica.version()
    yield replica
    await replica.close()


async def vouched(replica: Replica) -> None:
    """Until the cache answers by itself for longer than it would unheard."""
    async with asyncio.timeout(10):
        while replica.cache._vouched < monotonic() - 0.5:
            await asyncio.sleep(0.02)


async def test_anothers_write_is_seen_within_moments_and_what_did_not_change_is_not_read_again(
    here: Replica, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Replica(redis_server.url)
    await vouched(here)
    reads = 0
    load = here.documents.load

    async def counting(keys: list[DocumentKey]) -> object:
        nonlocal reads
        reads += 1
        return await load(keys)

    monkeypatch.setattr(here.documents, "load", counting)
    slowest = 0.0
    for version in range(1, 30):
        assert await here.version() == version
        await there.documents.commit([DocumentChange(ADA, version, student(version))])
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
    here: Replica, redis_server: Redis
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


async def test_a_redis_that_was_killed_is_away_and_is_heard_again_afterwards(
    here: Replica, redis_server: Redis
) -> None:
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
