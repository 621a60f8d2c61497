"""Loads that are asked for at the same time: one for all of them, and none is harmed by another."""

import asyncio
from collections.abc import Sequence

import pytest

from mastery_engine.backends.memory.documents import MemoryDocuments
from mastery_engine.backends.redis.batch_loader import BatchLoader
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import StartRefused, Unavailable
from mastery_engine.ports.documents import Courses, DocumentChange, PromptReader, StoredDocument
from tests.support.stores import ADA, ADAS, BOB, BOBS, EVE, EVES, student

BROKEN = DocumentKey("default", "broken")


class SlowDocuments(MemoryDocuments):
    """Notes each load, and answers it once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[list[DocumentKey]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_away = False

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        self.loads.append(list(keys))
        loaded = await super().load(keys)
        await self.may_answer.wait()
        if self.is_away:
            raise Unavailable("The store is away.")
        if BROKEN in keys:
            raise StartRefused("A document has format 9.")
        return loaded


@pytest.fixture
async def documents() -> SlowDocuments:
    documents = SlowDocuments()
    await documents.commit([DocumentChange(ADAS, 0, student(1)), DocumentChange(BOBS, 0, student(2))])
    return documents


@pytest.fixture
def loader(documents: SlowDocuments) -> BatchLoader:
    return BatchLoader(PromptReader(documents))


async def test_what_is_asked_for_at_once_is_one_load(loader: BatchLoader, documents: SlowDocuments) -> None:
    one, two, three = await asyncio.gather(
        loader.load([ADAS]), loader.load([EVES, BOBS, ADAS]), loader.load([BOBS, BOBS])
    )
    assert documents.loads == [[ADAS, EVES, BOBS]]
    ada, bob = await MemoryDocuments.load(documents, [ADAS, BOBS])
    assert (one, two, three) == ([ada], [None, bob, ada], [bob, bob])


async def test_what_is_asked_for_meanwhile_is_read_after_it_was_asked(
    loader: BatchLoader, documents: SlowDocuments
) -> None:
    documents.may_answer.clear()
    first = asyncio.create_task(loader.load([ADAS]))
    await asyncio.sleep(0.01)
    await documents.commit([DocumentChange(ADAS, 1, student(3))])
    later = [asyncio.create_task(loader.load([key])) for key in (ADAS, BOBS)]
    await asyncio.sleep(0.01)
    assert documents.loads == [[ADAS]]
    documents.may_answer.set()
    (before,) = await first
    (after,), _ = await asyncio.gather(*later)
    assert documents.loads == [[ADAS], [ADAS, BOBS]]
    assert before is not None
    assert after is not None
    assert (before.version, after.version) == (1, 2)


async def test_a_document_that_cannot_be_read_fails_only_who_asks_for_it(
    loader: BatchLoader, documents: SlowDocuments
) -> None:
    good, bad, other = await asyncio.gather(
        loader.load([ADAS]), loader.load([BROKEN]), loader.load([BOBS]), return_exceptions=True
    )
    assert isinstance(bad, StartRefused)
    assert [good, other] == [await MemoryDocuments.load(documents, [key]) for key in (ADAS, BOBS)]


async def test_a_store_that_is_away_is_asked_once_and_is_back_for_the_next(
    loader: BatchLoader, documents: SlowDocuments
) -> None:
    documents.is_away = True
    failed = await asyncio.gather(loader.load([ADAS]), loader.load([BOBS]), return_exceptions=True)
    assert [type(one) for one in failed] == [Unavailable, Unavailable]
    assert documents.loads == [[ADAS, BOBS]]
    documents.is_away = False
    assert await loader.load([ADAS]) == await MemoryDocuments.load(documents, [ADAS])


async def test_who_gives_up_takes_nobody_along(loader: BatchLoader, documents: SlowDocuments) -> None:
    documents.may_answer.clear()
    gone, here = asyncio.create_task(loader.load([ADAS])), asyncio.create_task(loader.load([BOBS]))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0)
    documents.may_answer.set()
    assert await here == await MemoryDocuments.load(documents, [BOBS])
    assert gone.cancelled()


async def test_a_load_that_hangs_holds_up_nobody_who_asks_later(
    loader: BatchLoader, documents: SlowDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.ports.documents.LOAD_S", 0.3)
    documents.may_answer.clear()
    hanging = asyncio.create_task(loader.load([ADAS]))
    await asyncio.sleep(0.01)
    gone, later = asyncio.create_task(loader.load([EVES])), asyncio.create_task(loader.load([BOBS]))
    await asyncio.sleep(0.01)
    gone.cancel()
    documents.may_answer = asyncio.Event()
    documents.may_answer.set()
    assert await asyncio.wait_for(later, 0.2) == await MemoryDocuments.load(documents, [BOBS])
    assert documents.loads == [[ADAS], [BOBS]], "who gave up is not loaded"
    with pytest.raises(Unavailable, match="has not answered"):
        await hanging


async def test_whole_students_who_are_asked_for_at_once_are_one_load(
    loader: BatchLoader, documents: SlowDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[list[StudentKey]] = []
    of_students = documents.of_students

    async def counting(students: Sequence[StudentKey]) -> list[Courses]:
        loads.append(list(students))
        return await of_students(students)

    monkeypatch.setattr(documents, "of_students", counting)
    one, two = await asyncio.gather(loader.of_students([ADA]), loader.of_students([EVE, BOB, ADA]))
    assert loads == [[ADA, EVE, BOB]]
    assert two == await of_students([EVE, BOB, ADA])
    assert one == [two[2]]
