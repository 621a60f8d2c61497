"""The cache in front of queries: what it answers is never older than a second, and folds never see it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.backends.memory.documents import MemoryDocuments
from mastery_engine.backends.redis.document_cache import FRESH_S, LIFE_S, DocumentCache, Invalidation
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import Courses, DocumentChange, PackedDocument, StoredDocument
from mastery_engine.responses.scores import Components
from tests.support.composed import composed
from tests.support.samples import Clock
from tests.support.stores import ADA, ADAS, BOB, BOBS, EVES, student


class CountingDocuments(MemoryDocuments):
    """Notes the documents that are asked for; a load can be held up between its reading and its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[DocumentKey] = []
        self.asked_whole: list[StudentKey] = []
        self.read = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        loaded = await super().load(keys)
        self.read.set()
        await self.may_answer.wait()
        return loaded

    async def load_packed(self, keys: Sequence[DocumentKey]) -> list[PackedDocument | None]:
        self.asked += keys
        return await super().load_packed(keys)

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        self.asked_whole += students
        loaded = await super().of_students(students)
        self.read.set()
        await self.may_answer.wait()
        return loaded


class Server:
    """What a test has the server tell."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Invalidation | None] = asyncio.Queue()

    async def watch(self) -> AsyncIterator[Invalidation]:
        yield Invalidation(None)
        while (invalidation := await self.told.get()) is not None:
            yield invalidation
        raise Unavailable("The server is away.")

    async def tell(self, *invalidations: Invalidation | None) -> None:
        for invalidation in invalidations:
            self.told.put_nowait(invalidation)
        for _ in range(5):
            await asyncio.sleep(0)


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def documents() -> CountingDocuments:
    return CountingDocuments()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def cache(documents: CountingDocuments, time: Time, server: Server) -> AsyncIterator[DocumentCache]:
    await documents.commit([DocumentChange(key, 0, student(1)) for key in (ADAS, BOBS, EVES)])
    cache = DocumentCache(documents, now=time, watch=server.watch, most=2)
    await cache.load([])
    await server.tell()
    yield cache
    await cache.close()


async def version(cache: DocumentCache, key: DocumentKey = ADAS) -> int | None:
    (stored,) = await cache.load([key])
    return stored.version if stored else None


async def test_a_second_query_asks_no_store(cache: DocumentCache, documents: CountingDocuments) -> None:
    assert [await version(cache), await version(cache)] == [1, 1]
    assert documents.asked == [ADAS]


async def test_documents_come_in_the_order_of_the_keys_from_either(cache: DocumentCache) -> None:
    assert await version(cache, BOBS) == 1
    nobody = DocumentKey("default", "nobody")
    loaded = await cache.load([ADAS, BOBS, nobody, ADAS])
    assert [stored and stored.version for stored in loaded] == [1, 1, None, 1]


async def test_who_is_not_there_is_asked_for_again(cache: DocumentCache, documents: CountingDocuments) -> None:
    new = DocumentKey("default", "new")
    assert await version(cache, new) is None
    await documents.commit([DocumentChange(new, 0, student(1))])
    assert await version(cache, new) == 1


async def test_unless_the_server_vouches_a_document_serves_for_less_than_a_second(
    cache: DocumentCache, documents: CountingDocuments, time: Time
) -> None:
    assert await version(cache) == 1
    await documents.commit([DocumentChange(ADAS, 1, student(2))])
    time.now += FRESH_S - 0.01
    assert await version(cache) == 1
    time.now += 0.02
    assert FRESH_S < 1
    assert await version(cache) == 2


async def test_a_document_serves_for_as_long_as_the_server_vouches_and_thirty_seconds(
    cache: DocumentCache, documents: CountingDocuments, time: Time, server: Server
) -> None:
    first = time.now
    while time.now < first + LIFE_S:
        assert await version(cache) == 1
        time.now += FRESH_S / 2
        await server.tell(Invalidation(up_to=time.now))
    assert documents.asked == [ADAS]
    await version(cache)
    assert documents.asked == [ADAS, ADAS]


async def test_what_the_server_says_has_changed_is_read_again_and_nothing_else(
    cache: DocumentCache, documents: CountingDocuments, server: Server
) -> None:
    await cache.load([ADAS, BOBS])
    await documents.commit([DocumentChange(ADAS, 1, student(2))])
    await server.tell(Invalidation((ADAS,)))
    assert [stored and stored.version for stored in await cache.load([ADAS, BOBS])] == [2, 1]
    assert documents.asked == [ADAS, BOBS, ADAS]


async def test_where_anything_may_have_changed_all_is_read_again(
    cache: DocumentCache, documents: CountingDocuments, server: Server
) -> None:
    await cache.load([ADAS, BOBS])
    await server.tell(Invalidation(None))
    await cache.load([ADAS, BOBS])
    assert documents.asked == [ADAS, BOBS] * 2


@pytest.mark.parametrize("invalidation", [Invalidation((ADAS,)), Invalidation(None)])
async def test_a_change_that_overtakes_the_answer_is_not_missed(
    cache: DocumentCache, documents: CountingDocuments, server: Server, invalidation: Invalidation
) -> None:
    documents.read.clear()
    documents.may_answer.clear()
    query = asyncio.create_task(version(cache))
    await documents.read.wait()
    await documents.commit([DocumentChange(ADAS, 1, student(2))])
    await server.tell(invalidation)
    documents.may_answer.set()
    assert await query == 1
    assert await version(cache) == 2


async def test_a_server_that_went_and_came_back_vouches_for_nothing_from_before(
    cache: DocumentCache, documents: CountingDocuments, time: Time, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastery_engine.backends.redis.document_cache.AGAIN_S", 0)
    assert await version(cache) == 1
    await server.tell(None)
    await documents.commit([DocumentChange(ADAS, 1, student(2))])
    await server.tell(Invalidation(up_to=time.now))
    assert await version(cache) == 2


# ---- all courses of a student


async def versions(cache: DocumentCache, student_key: StudentKey = ADA) -> dict[str, int]:
    (courses,) = await cache.of_students([student_key])
    return {course_id: stored.version for course_id, stored in courses.items()}


@pytest.fixture
async def rust(documents: CountingDocuments) -> DocumentKey:
    """Ada's document in a second course."""
    key = DocumentKey(*ADA, "rust")
    await documents.commit([DocumentChange(key, 0, student(3))])
    return key


async def test_a_second_query_about_all_courses_or_one_of_them_asks_no_store(
    cache: DocumentCache, documents: CountingDocuments, rust: DocumentKey
) -> None:
    for _ in range(2):
        assert await versions(cache) == {"default": 1, "rust": 1}
        assert [await version(cache), await version(cache, rust)] == [1, 1]
    assert (documents.asked, documents.asked_whole) == ([], [ADA])


async def test_who_has_no_document_is_asked_for_again(cache: DocumentCache, documents: CountingDocuments) -> None:
    new = StudentKey("default", "new")
    assert await versions(cache, new) == {}
    await documents.commit([DocumentChange(DocumentKey(*new, "rust"), 0, student(1))])
    assert await versions(cache, new) == {"rust": 1}


@pytest.mark.parametrize("how", ["forgotten", "told"])
async def test_a_course_that_is_new_or_has_changed_is_seen(
    cache: DocumentCache, documents: CountingDocuments, server: Server, rust: DocumentKey, how: str
) -> None:
    assert await versions(cache) == {"default": 1, "rust": 1}
    new = DocumentKey(*ADA, "go")
    for change, expected in (
        (DocumentChange(new, 0, student(1)), {"default": 1, "rust": 1, "go": 1}),
        (DocumentChange(rust, 1, student(1)), {"default": 1, "rust": 2, "go": 1}),
        (DocumentChange(ADAS, 1, None), {"rust": 2, "go": 1}),
    ):
        await documents.commit([change])
        if how == "told":
            await server.tell(Invalidation((change.key,)))
        else:
            cache.forget([change.key])
        assert await versions(cache) == expected


async def test_a_students_courses_serve_for_no_longer_than_a_document(
    cache: DocumentCache, documents: CountingDocuments, time: Time, rust: DocumentKey
) -> None:
    assert await versions(cache) == {"default": 1, "rust": 1}
    time.now += FRESH_S / 2
    cache.forget([BOBS])
    await documents.commit([DocumentChange(DocumentKey(*ADA, "go"), 0, student(1))])
    assert await version(cache, rust) == 1
    assert await versions(cache) == {"default": 1, "rust": 1}
    time.now += FRESH_S / 2 + 0.01
    assert await version(cache, rust) == 1, "read again by itself"
    assert await versions(cache) == {"default": 1, "rust": 1, "go": 1}


async def test_where_one_document_has_gone_all_are_read_again(
    cache: DocumentCache, documents: CountingDocuments, rust: DocumentKey
) -> None:
    await versions(cache)
    await version(cache, BOBS)  # there is room for two: ada's oldest makes it
    assert await versions(cache) == {"default": 1, "rust": 1}
    assert documents.asked_whole == [ADA, ADA]


@pytest.mark.parametrize("whose", ["default", "rust", "new"])
async def test_a_change_that_overtakes_the_answer_about_all_courses_is_not_missed(
    cache: DocumentCache, documents: CountingDocuments, rust: DocumentKey, whose: str
) -> None:
    documents.read.clear()
    documents.may_answer.clear()
    query = asyncio.create_task(versions(cache))
    await documents.read.wait()
    key = DocumentKey(*ADA, whose)
    await documents.commit([DocumentChange(key, 0 if whose == "new" else 1, student(2))])
    cache.forget([key])
    documents.may_answer.set()
    assert await query == {"default": 1, "rust": 1}
    assert await versions(cache) == {"default": 1, "rust": 1} | {whose: 1 if whose == "new" else 2}


async def test_what_was_asked_for_later_stays_whichever_answer_comes_first(
    cache: DocumentCache, documents: CountingDocuments, time: Time
) -> None:
    documents.read.clear()
    documents.may_answer.clear()
    early = asyncio.create_task(versions(cache))
    await documents.read.wait()
    await documents.commit([DocumentChange(ADAS, 1, student(2))])
    documents.read.clear()
    time.now += 0.1
    later = asyncio.create_task(version(cache))
    await documents.read.wait()
    documents.may_answer.set()
    assert (await later, await early) == (2, {"default": 1})
    assert await version(cache) == 2


async def test_an_erased_student_is_forgotten_in_all_courses(
    cache: DocumentCache, documents: CountingDocuments, rust: DocumentKey
) -> None:
    for load in (versions(cache), version(cache, rust), versions(cache, BOB)):
        await load
    await documents.erase(ADA)
    documents.read.clear()
    documents.may_answer.clear()
    query = asyncio.create_task(version(cache, DocumentKey(*ADA, "go")))
    await documents.read.wait()
    cache.forget_students([ADA])
    documents.may_answer.set()
    assert await query is None
    assert await versions(cache) == {}
    assert [await version(cache, key) for key in (ADAS, rust)] == [None, None]
    before = list(documents.asked_whole)
    assert await versions(cache, BOB) == {"default": 1}
    assert documents.asked_whole == before


async def test_the_oldest_document_makes_room(cache: DocumentCache, documents: CountingDocuments) -> None:
    for key in (ADAS, BOBS, EVES, BOBS, EVES, ADAS):
        await version(cache, key)
    assert documents.asked == [ADAS, BOBS, EVES, ADAS]


async def test_a_store_that_is_away_is_said_to_be(
    cache: DocumentCache, documents: CountingDocuments, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        raise Unavailable("The store is away.")

    with monkeypatch.context() as patched:
        patched.setattr(documents, "load", away)
        with pytest.raises(Unavailable):
            await version(cache)
    assert await version(cache) == 1


async def test_what_was_recorded_here_is_seen_here_at_once_and_folds_read_the_store(
    documents: CountingDocuments, time: Time
) -> None:
    cache, clock = DocumentCache(documents, now=time), Clock()
    stores = msgspec.structs.replace(memory_stores.open_stores(clock), documents=documents, reader=cache)
    engine = composed(stores, clock=clock)
    caller = Caller("somebody", "admin", "default")
    for quiz in (0.2, 0.9):
        await engine.scores.calculate(caller, "ada", ComponentValues(quiz=quiz))
        shown = await engine.scores.query(caller, "ada")
        assert isinstance(shown.current_mastery.components, Components)
        assert shown.current_mastery.components.quiz == quiz
    before = len(documents.asked)
    await engine.scores.query(caller, "ada")
    assert len(documents.asked) == before
    await engine.scores.calculate(caller, "ada", ComponentValues(quiz=0.5))
    assert documents.asked[before:] == [ADAS]
    await engine.close()
