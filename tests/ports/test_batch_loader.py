"""Loads that are asked for at the same time: one for all of them, and none is harmed by another."""

import asyncio
from collections.abc import Sequence

import pytest

from mastery_engine.backends.memory.store import MemoryStore
from mastery_engine.backends.redis.batch_loader import LoadsTogether
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import StartRefused, Unavailable
from mastery_engine.ports.documents import Change, Held
from tests.ports.test_store import ADA, BOB, EVE, student

BROKEN = StudentKey("default", "broken")


class SlowStore(MemoryStore):
    """Notes each load, and answers it once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[list[StudentKey]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_away = False

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        self.loads.append(list(keys))
        found = await super().load(keys)
        await self.may_answer.wait()
        if self.is_away:
            raise Unavailable("The store is away.")
        if BROKEN in keys:
            raise StartRefused("A document has format 9.")
        return found


@pytest.fixture
async def store() -> SlowStore:
    store = SlowStore()
    await store.commit([Change(ADA, 0, student(1)), Change(BOB, 0, student(2))])
    return store


@pytest.fixture
def together(store: SlowStore) -> LoadsTogether:
    return LoadsTogether(store)


async def test_what_is_asked_for_at_once_is_one_load(together: LoadsTogether, store: SlowStore) -> None:
    one, two, three = await asyncio.gather(
        together.load([ADA]), together.load([EVE, BOB, ADA]), together.load([BOB, BOB])
    )
    assert store.loads == [[ADA, EVE, BOB]]
    ada, bob = await MemoryStore.load(store, [ADA, BOB])
    assert (one, two, three) == ([ada], [None, bob, ada], [bob, bob])


async def test_what_is_asked_for_meanwhile_is_read_after_it_was_asked(
    together: LoadsTogether, store: SlowStore
) -> None:
    store.may_answer.clear()
    first = asyncio.create_task(together.load([ADA]))
    await asyncio.sleep(0.01)
    await store.commit([Change(ADA, 1, student(3))])
    later = [asyncio.create_task(together.load([key])) for key in (ADA, BOB)]
    await asyncio.sleep(0.01)
    assert store.loads == [[ADA]]
    store.may_answer.set()
    (before,) = await first
    (after,), _ = await asyncio.gather(*later)
    assert store.loads == [[ADA], [ADA, BOB]]
    assert before is not None
    assert after is not None
    assert (before.version, after.version) == (1, 2)


async def test_a_document_that_cannot_be_read_fails_only_who_asks_for_it(
    together: LoadsTogether, store: SlowStore
) -> None:
    good, bad, other = await asyncio.gather(
        together.load([ADA]), together.load([BROKEN]), together.load([BOB]), return_exceptions=True
    )
    assert isinstance(bad, StartRefused)
    assert [good, other] == [await MemoryStore.load(store, [key]) for key in (ADA, BOB)]


async def test_a_store_that_is_away_is_asked_once_and_is_back_for_the_next(
    together: LoadsTogether, store: SlowStore
) -> None:
    store.is_away = True
    failed = await asyncio.gather(together.load([ADA]), together.load([BOB]), return_exceptions=True)
    assert [type(one) for one in failed] == [Unavailable, Unavailable]
    assert store.loads == [[ADA, BOB]]
    store.is_away = False
    assert await together.load([ADA]) == await MemoryStore.load(store, [ADA])


async def test_who_gives_up_takes_nobody_along(together: LoadsTogether, store: SlowStore) -> None:
    store.may_answer.clear()
    gone, here = asyncio.create_task(together.load([ADA])), asyncio.create_task(together.load([BOB]))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0)
    store.may_answer.set()
    assert await here == await MemoryStore.load(store, [BOB])
    assert gone.cancelled()


async def test_a_load_that_hangs_holds_up_nobody_who_asks_later(
    together: LoadsTogether, store: SlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.backends.redis.batch_loader.LOAD_S", 0.3)
    store.may_answer.clear()
    hanging = asyncio.create_task(together.load([ADA]))
    await asyncio.sleep(0.01)
    gone, later = asyncio.create_task(together.load([EVE])), asyncio.create_task(together.load([BOB]))
    await asyncio.sleep(0.01)
    gone.cancel()
    store.may_answer = asyncio.Event()
    store.may_answer.set()
    assert await asyncio.wait_for(later, 0.2) == await MemoryStore.load(store, [BOB])
    assert store.loads == [[ADA], [BOB]], "who gave up is not loaded"
    with pytest.raises(Unavailable, match="has not answered"):
        await hanging
