"""The cache in front of queries: what it answers is never older than a second, and folds never see it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from mastery_engine.backends.memory.event_log import MemoryLog
from mastery_engine.backends.memory.store import MemoryStore
from mastery_engine.backends.redis.document_cache import FRESH_S, LIFE_S, CachedDocuments, Heard
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import Change, Held
from mastery_engine.services import Mastery
from mastery_engine.telemetry.metrics import Metrics
from tests.ports.test_store import ADA, BOB, EVE, student
from tests.support.samples import Clock


class CountingStore(MemoryStore):
    """Counts the documents that are asked for; a load can be held up between its reading and its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[StudentKey] = []
        self.read = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        self.asked += keys
        found = await super().load(keys)
        self.read.set()
        await self.may_answer.wait()
        return found


class Server:
    """What a test has the server tell."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Heard | None] = asyncio.Queue()

    async def watch(self) -> AsyncIterator[Heard]:
        yield Heard(None)
        while (heard := await self.told.get()) is not None:
            yield heard
        raise Unavailable("The server is away.")

    async def tell(self, *heard: Heard | None) -> None:
        for one in heard:
            self.told.put_nowait(one)
        for _ in range(5):
            await asyncio.sleep(0)


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def cache(store: CountingStore, time: Time, server: Server) -> AsyncIterator[CachedDocuments]:
    await store.commit([Change(key, 0, student(1)) for key in (ADA, BOB, EVE)])
    cache = CachedDocuments(store, now=time, watch=server.watch, most=2)
    await cache.load([])
    await server.tell()
    yield cache
    await cache.close()


async def version(cache: CachedDocuments, key: StudentKey = ADA) -> int | None:
    (held,) = await cache.load([key])
    return held and held.version


async def test_a_second_query_asks_no_store(cache: CachedDocuments, store: CountingStore) -> None:
    assert [await version(cache), await version(cache)] == [1, 1]
    assert store.asked == [ADA]


async def test_documents_come_in_the_order_of_the_keys_from_either(cache: CachedDocuments) -> None:
    assert await version(cache, BOB) == 1
    nobody = StudentKey("default", "nobody")
    found = await cache.load([ADA, BOB, nobody, ADA])
    assert [held and held.version for held in found] == [1, 1, None, 1]


async def test_who_is_not_there_is_asked_for_again(cache: CachedDocuments, store: CountingStore) -> None:
    new = StudentKey("default", "new")
    assert await version(cache, new) is None
    await store.commit([Change(new, 0, student(1))])
    assert await version(cache, new) == 1


async def test_unless_the_server_vouches_a_document_serves_for_less_than_a_second(
    cache: CachedDocuments, store: CountingStore, time: Time
) -> None:
    assert await version(cache) == 1
    await store.commit([Change(ADA, 1, student(2))])
    time.now += FRESH_S - 0.01
    assert await version(cache) == 1
    time.now += 0.02
    assert FRESH_S < 1
    assert await version(cache) == 2


async def test_a_document_serves_for_as_long_as_the_server_vouches_and_thirty_seconds(
    cache: CachedDocuments, store: CountingStore, time: Time, server: Server
) -> None:
    first = time.now
    while time.now < first + LIFE_S:
        assert await version(cache) == 1
        time.now += FRESH_S / 2
        await server.tell(Heard(up_to=time.now))
    assert store.asked == [ADA]
    await version(cache)
    assert store.asked == [ADA, ADA]


async def test_what_the_server_says_has_changed_is_read_again_and_nothing_else(
    cache: CachedDocuments, store: CountingStore, server: Server
) -> None:
    await cache.load([ADA, BOB])
    await store.commit([Change(ADA, 1, student(2))])
    await server.tell(Heard((ADA,)))
    assert [held and held.version for held in await cache.load([ADA, BOB])] == [2, 1]
    assert store.asked == [ADA, BOB, ADA]


async def test_where_anything_may_have_changed_all_is_read_again(
    cache: CachedDocuments, store: CountingStore, server: Server
) -> None:
    await cache.load([ADA, BOB])
    await server.tell(Heard(None))
    await cache.load([ADA, BOB])
    assert store.asked == [ADA, BOB] * 2


@pytest.mark.parametrize("heard", [Heard((ADA,)), Heard(None)])
async def test_a_change_that_overtakes_the_answer_is_not_missed(
    cache: CachedDocuments, store: CountingStore, server: Server, heard: Heard
) -> None:
    store.read.clear()
    store.may_answer.clear()
    query = asyncio.create_task(version(cache))
    await store.read.wait()
    await store.commit([Change(ADA, 1, student(2))])
    await server.tell(heard)
    store.may_answer.set()
    assert await query == 1
    assert await version(cache) == 2


async def test_a_server_that_went_and_came_back_vouches_for_nothing_from_before(
    cache: CachedDocuments, store: CountingStore, time: Time, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.backends.redis.document_cache.AGAIN_S", 0)
    assert await version(cache) == 1
    await server.tell(None)
    await store.commit([Change(ADA, 1, student(2))])
    await server.tell(Heard(up_to=time.now))
    assert await version(cache) == 2


async def test_the_oldest_document_makes_room(cache: CachedDocuments, store: CountingStore) -> None:
    for key in (ADA, BOB, EVE, BOB, EVE, ADA):
        await version(cache, key)
    assert store.asked == [ADA, BOB, EVE, ADA]


async def test_a_store_that_is_away_is_said_to_be(
    cache: CachedDocuments, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(keys: Sequence[StudentKey]) -> list[Held | None]:
        raise Unavailable("The store is away.")

    with monkeypatch.context() as patched:
        patched.setattr(store, "load", away)
        with pytest.raises(Unavailable):
            await version(cache)
    assert await version(cache) == 1


async def test_what_was_recorded_here_is_seen_here_at_once_and_folds_read_the_store(time: Time) -> None:
    from mastery_engine.auth.access import Caller
    from mastery_engine.domain.events.kinds import ComponentValues

    store = CountingStore()
    cache = CachedDocuments(store, now=time)
    mastery = Mastery(store, MemoryLog(), Rules(), Clock(), Metrics(), lambda: str(len(store.asked)), cache)
    caller = Caller("somebody", "admin", "default")
    for quiz in (0.2, 0.9):
        await mastery.calculate(caller, "ada", ComponentValues(quiz=quiz))
        found = await mastery.query(caller, "ada")
        assert found.current_mastery.components is not None
        assert found.current_mastery.components.quiz == quiz
    before = len(store.asked)
    await mastery.query(caller, "ada")
    assert len(store.asked) == before
    await mastery.calculate(caller, "ada", ComponentValues(quiz=0.5))
    assert store.asked[before:] == [ADA]
    await mastery.close()
