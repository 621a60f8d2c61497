"""The store suite over a real sidecar on a real Redis, and what is the state API's own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mastery_engine.backends.dapr.store import DaprStore
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import FellBack, Unavailable
from mastery_engine.ports.documents import Change, Store
from scripts.servers.dapr import Dapr
from scripts.servers.redis import Redis
from tests.ports import test_store as suite
from tests.ports.test_store import ADA, BOB, put, read, student
from tests.support.real_servers import RealServers
from tests.support.sidecars import redis_state, store_of

# The first run of all builds the sidecar.
pytestmark = [pytest.mark.xdist_group("redis"), pytest.mark.timeout(2_400)]

# The suite's tests, over the fixture below.
globals().update({name: test for name, test in vars(suite).items() if name.startswith("test_")})

TOKEN = "shown-to-the-sidecar"


@pytest.fixture(scope="module")
def sidecar(real_servers: RealServers, redis_server: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dapr]:
    home = tmp_path_factory.mktemp("dapr")
    components = [redis_state(redis_server.port)]
    with real_servers.started("Dapr", lambda: Dapr(components, home=home, api_token=TOKEN)) as running:
        yield running


@pytest.fixture
async def store(sidecar: Dapr, redis_server: Redis) -> AsyncIterator[Store]:
    with redis_server.client() as client:
        client.flushall()
    opened = store_of(sidecar, TOKEN)
    yield opened
    await opened.close()


def test_the_whole_suite_is_here() -> None:
    names = {name for name in vars(suite) if name.startswith("test_")}
    assert len(names) > 20
    assert names <= globals().keys()


async def test_a_late_writer_does_not_bring_back_who_was_removed(store: Store, sidecar: Dapr) -> None:
    """With the ETag that it read before, to a state store that takes any ETag for a key that is not there."""
    await put(store, ADA)
    late = store_of(sidecar, TOKEN)
    assert await read(late) is not None
    assert await store.commit([Change(ADA, 1, None)]) == [True]
    assert await late.commit([Change(ADA, 1, student(5))]) == [False]
    assert await read(store) is None
    await late.close()


async def test_of_a_batch_that_partly_lost_each_knows_its_own(store: Store, sidecar: Dapr) -> None:
    keys = [StudentKey("default", f"s{number}") for number in range(40)]
    await store.commit([Change(key, 0, student(1)) for key in keys])
    other = store_of(sidecar, TOKEN)
    await other.load(keys)
    assert all(await store.commit([Change(key, 1, student(2)) for key in keys[::4]]))
    won = await other.commit([Change(key, 1, student(3), {7: b"x" * 8}) for key in keys])
    assert won == [place % 4 != 0 for place in range(40)]
    found = await store.load(keys)
    assert [held.student for held in found if held] == [student(3 if one else 2) for one in won]
    assert [bool(ids) for ids in await store.load_cold(keys)] == won
    await other.close()


async def test_values_expire_with_the_retention(store: Store, redis_server: Redis) -> None:
    await put(store, ADA, cold={1: b"x" * 8})
    with redis_server.client() as client:
        lives = {name: client.ttl(name) for name in client.scan_iter()}
    assert len(lives) >= 4
    assert all(0 < life <= 91 * 86_400 for life in lives.values()), lives
    assert sum(life > 90 * 86_400 for life in lives.values()) >= 3


async def test_no_cold_ids_are_left_that_no_document_names(store: Store, redis_server: Redis) -> None:
    await put(store, ADA, 0, cold={1: b"x" * 8})
    await put(store, ADA, 1, cold={2: b"y" * 8})
    await put(store, ADA, 1, cold={3: b"z" * 8})
    await put(store, BOB, 0, cold={4: b"w" * 8})
    await store.commit([Change(BOB, 1, None)])
    with redis_server.client() as client:
        assert len(list(client.scan_iter(match="*||c:*"))) == 1


async def test_a_state_store_that_lost_its_last_writes_is_noticed(store: Store, redis_server: Redis) -> None:
    """The marks are as they were, the documents written after them are gone."""
    life = (await store.marks("log")).life
    await put(store, ADA)
    await store.move_marks("log", {0: 0}, {0: 5}, life)
    with redis_server.client() as client:
        kept = {name: client.dump(name) for name in client.scan_iter()}
        await put(store, ADA, 1, number=2)
        client.flushall()
        for name, value in kept.items():
            client.restore(name, 0, value)
    with pytest.raises(FellBack):
        await store.move_marks("log", {0: 5}, {0: 9}, life)
    assert (await store.marks("log")).offsets == {0: 5}
    assert await put(store, ADA, 1, number=2)
    await store.move_marks("log", {0: 5}, {0: 9}, life)
    assert (await store.marks("log")).offsets == {0: 9}


async def test_another_process_moves_the_marks_of_its_partitions(store: Store, sidecar: Dapr) -> None:
    other = store_of(sidecar, TOKEN)
    await store.move_marks("log", {0: 0}, {0: 5}, (await store.marks("log")).life)
    await other.move_marks("log", {1: 0}, {1: 7}, (await other.marks("log")).life)
    assert (await store.marks("log")).offsets == {0: 5, 1: 7}
    with pytest.raises(FellBack):
        await other.move_marks("log", {1: 7}, {1: 8}, "another-life")
    await other.close()


async def test_a_sidecar_that_is_away_or_refuses_is_said(sidecar: Dapr, redis_server: Redis, tmp_path: Path) -> None:
    strangers = [store_of(sidecar, "wrong"), store_of(sidecar)]
    nowhere = Dapr([redis_state(redis_server.port)], home=tmp_path)
    for one, word in [*[(one, "DAPR_API_TOKEN") for one in strangers], (store_of(nowhere), "away")]:
        for call in (one.ping(), one.load([ADA]), one.commit([Change(ADA, 0, student())])):
            with pytest.raises(Unavailable, match=word):
                await call
        await one.close()
    nowhere.close()


async def test_a_redis_that_is_away_is_said(store: DaprStore, redis_server: Redis) -> None:
    await put(store, ADA)
    redis_server.stop()
    try:
        with pytest.raises(Unavailable):
            await store.load([ADA])
        with pytest.raises(Unavailable):
            await store.commit([Change(ADA, 1, student(1))])
    finally:
        redis_server.start()
    assert await read(store) == (1, student())
