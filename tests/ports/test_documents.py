"""What every backend promises of documents."""

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

import mastery_engine.backends
from mastery_engine.domain.student import DocumentKey, Student, StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.documents import DocumentChange
from tests.support.stores import (
    ADA,
    ADAS,
    BOB,
    BOBS,
    EVES,
    STORES,
    cold_ids,
    everyone,
    on,
    put,
    read,
    stores_fixture,
    student,
)

stores = stores_fixture()
RUST = DocumentKey(*ADA, "rust")


def test_no_backend_goes_without_the_suites() -> None:
    backends = Path(mastery_engine.backends.__path__[0])
    assert {file.parent.name for file in backends.glob("*/stores.py")} <= STORES.keys()


async def test_nobody_is_there_at_first(stores: Stores) -> None:
    documents = stores.documents
    assert await documents.load([ADAS, BOBS]) == [None, None]
    assert await documents.load_cold([ADAS]) == [{}]
    assert await documents.load([]) == []
    assert await documents.load_cold([]) == []
    assert await documents.commit([]) == []
    assert await everyone(documents) == []


async def test_a_document_comes_back_as_it_was_with_the_number_of_its_writes(stores: Stores) -> None:
    for version in range(3):
        assert await put(stores.documents, ADAS, version, number=version)
        assert await read(stores.documents) == (version + 1, student(version))


async def test_a_document_may_come_and_go_packed(stores: Stores) -> None:
    assert await put(stores.documents, ADAS, 0, number=1)
    assert await put(stores.documents, RUST, 0, number=2)
    ours, nobodys, theirs = await stores.documents.load_packed([RUST, EVES, ADAS])
    assert nobodys is None
    assert ours is not None
    assert theirs is not None
    assert [ours.unpacked().student, theirs.unpacked().student] == [student(2), student(1)]
    changes = [DocumentChange(RUST, 1, theirs.packed), DocumentChange(ADAS, 1, ours.packed, {1: b"x" * 8})]
    assert await stores.documents.commit(changes) == [True, True]
    assert await read(stores.documents) == (2, student(2))
    assert await cold_ids(stores.documents) == {1: b"x" * 8}
    loaded = await stores.documents.load([RUST])
    assert [one and (one.version, one.student) for one in loaded] == [(2, student(1))]


async def test_documents_come_in_the_order_of_the_keys(stores: Stores) -> None:
    changes = [DocumentChange(key, 0, student(number)) for number, key in enumerate((ADAS, BOBS, EVES))]
    assert await stores.documents.commit(changes) == [True] * 3
    loaded = await stores.documents.load([EVES, DocumentKey("default", "nobody"), ADAS, EVES])
    assert [stored and stored.student for stored in loaded] == [student(2), None, student(0), student(2)]


async def test_a_writer_that_lost_changes_nothing(stores: Stores) -> None:
    documents = stores.documents
    assert not await put(documents, ADAS, version=1)
    assert await read(documents) is None
    assert await put(documents, ADAS, version=0, number=1, cold={1: b"x" * 8})
    for stale in (0, 2, 7):
        assert not await put(documents, ADAS, stale, number=9, cold={9: b"y" * 8})
    assert await read(documents) == (1, student(1))
    assert await cold_ids(documents) == {1: b"x" * 8}


async def test_each_change_of_a_batch_wins_or_loses_alone(stores: Stores) -> None:
    documents = stores.documents
    await put(documents, BOBS, number=1)
    changes = [DocumentChange(key, version, student(2)) for key, version in ((ADAS, 0), (BOBS, 0), (EVES, 1))]
    assert await documents.commit(changes) == [True, False, False]
    assert [await read(documents, key) for key in (ADAS, BOBS, EVES)] == [(1, student(2)), (1, student(1)), None]


async def test_of_many_writers_at_once_one_wins_each_round(stores: Stores) -> None:
    async def write() -> int:
        lost = 0
        while True:
            (stored,) = await stores.documents.load([ADAS])
            await asyncio.sleep(0)
            if await put(stores.documents, ADAS, stored.version if stored else 0):
                return lost
            lost += 1

    lost = await asyncio.gather(*[write() for _ in range(12)])
    stored = await read(stores.documents)
    assert stored is not None
    assert stored[0] == 12
    assert sum(lost) > 0


async def test_tenants_and_cases_are_apart(stores: Stores) -> None:
    documents = stores.documents
    keys = [
        DocumentKey(tenant, name)
        for tenant in ("default", "school-1", "school")
        for name in ("ada", "Ada", "1-ada", "_", "-", "007", "7", "1e3", "null", "x" * 50)
    ]
    changes = [DocumentChange(key, 0, student(number)) for number, key in enumerate(keys)]
    assert all(await documents.commit(changes))
    loaded = await documents.load(keys)
    assert [stored.student for stored in loaded if stored] == [student(number) for number in range(len(keys))]
    for number, key in enumerate(keys):
        assert await read(documents, key) == (1, student(number))
    assert sorted(await everyone(documents)) == sorted(keys)
    assert await read(documents, DocumentKey("other", "ada")) is None


async def test_what_is_removed_is_gone_with_its_cold_ids(stores: Stores) -> None:
    documents = stores.documents
    await put(documents, ADAS, cold={1: b"x" * 8})
    await put(documents, BOBS, cold={2: b"y" * 8})
    assert await documents.commit([DocumentChange(ADAS, 1, None, {3: b"z" * 8})]) == [True]
    assert (await read(documents), await cold_ids(documents)) == (None, {})
    assert await everyone(documents) == [BOBS]
    assert await cold_ids(documents, BOBS) == {2: b"y" * 8}
    assert await put(documents, ADAS, version=0, number=5)
    assert (await read(documents), await cold_ids(documents)) == ((1, student(5)), {})


async def test_a_removal_can_lose_too(stores: Stores) -> None:
    documents = stores.documents
    await put(documents, ADAS)
    await put(documents, ADAS, version=1, number=1, cold={1: b"x" * 8})
    for stale in (0, 1, 3):
        changes = [DocumentChange(ADAS, stale, None), DocumentChange(BOBS, 1, None)]
        assert await documents.commit(changes) == [False, False]
    assert (await read(documents), await cold_ids(documents)) == ((2, student(1)), {1: b"x" * 8})
    assert await documents.commit([DocumentChange(BOBS, 0, None)]) == [True]  # there is none, as was said
    assert await read(documents, BOBS) is None


async def test_cold_ids_stay_where_none_are_given(stores: Stores) -> None:
    documents = stores.documents
    await put(documents, ADAS, 0, cold={20_000: b"x" * 8, 20_001: b"y" * 16})
    await put(documents, ADAS, 1)
    assert await cold_ids(documents) == {20_000: b"x" * 8, 20_001: b"y" * 16}
    await put(documents, ADAS, 2, cold={20_002: b"z" * 8})
    assert await cold_ids(documents) == {20_002: b"z" * 8}
    await put(documents, ADAS, 3, cold={})
    assert await cold_ids(documents) == {}
    await put(documents, BOBS, 0, cold={1: b"b" * 8})
    assert await documents.load_cold([EVES, BOBS, ADAS, BOBS]) == [{}, {1: b"b" * 8}, {}, {1: b"b" * 8}]


async def test_of_documents_written_together_some_have_cold_ids(stores: Stores) -> None:
    """They are written, left, removed, or known to be none, each beside the document that they belong to."""
    documents = stores.documents
    keys = [DocumentKey("default", f"s{number}") for number in range(12)]
    first = [
        (
            DocumentChange(key, 0, student(number), {number: b"x" * 8}, has_cold=True)
            if number % 2
            else DocumentChange(key, 0, student(number), has_cold=False)
        )
        for number, key in enumerate(keys)
    ]
    assert await documents.commit(first) == [True] * 12
    assert await documents.load_cold(keys) == [{number: b"x" * 8} if number % 2 else {} for number in range(12)]
    second = [
        DocumentChange(keys[0], 1, student(20), has_cold=False),
        DocumentChange(keys[1], 1, student(21)),
        DocumentChange(keys[2], 1, student(22), {2: b"y" * 8}),
        DocumentChange(keys[3], 1, student(23), {}),
        DocumentChange(keys[4], 7, student(24), {4: b"y" * 8}),
        DocumentChange(keys[5], 1, None),
        DocumentChange(keys[6], 1, None, has_cold=False),
        DocumentChange(keys[7], 1, student(27), {7: b"z" * 8}),
    ]
    assert await documents.commit(second) == [True] * 4 + [False] + [True] * 3
    held = [stored and (stored.version, stored.student) for stored in await documents.load(keys[:8])]
    assert held[4] == (1, student(4))
    assert held == [*[(2, student(20 + number)) for number in range(4)], held[4], None, None, (2, student(27))]
    cold = [{}, {1: b"x" * 8}, {2: b"y" * 8}, {}, {}, {}, {}, {7: b"z" * 8}]
    assert await documents.load_cold(keys[:8]) == cold
    assert await documents.load_cold(keys[8:]) == [{number: b"x" * 8} if number % 2 else {} for number in range(8, 12)]


async def test_thousands_at_once(stores: Stores) -> None:
    documents = stores.documents
    keys = [DocumentKey(f"school-{number % 3}", f"student_{number}") for number in range(2_500)]
    changes = [
        DocumentChange(key, 0, student(number % 20), {number: bytes((number % 256,)) * 8 * (number % 5)})
        for number, key in enumerate(keys)
    ]
    assert all(await documents.commit(changes))
    loaded = await documents.load(keys[::-1])
    assert [stored.student for stored in loaded if stored] == [student(number % 20) for number in range(2_500)][::-1]
    assert await documents.load_cold(keys) == [change.cold for change in changes]
    assert sorted(await everyone(documents)) == sorted(keys)
    again = [DocumentChange(key, number % 3, student(number % 20 + 1)) for number, key in enumerate(keys)]
    assert await documents.commit(again) == [number % 3 == 1 for number in range(2_500)]
    assert await documents.versions(keys) == [2 if number % 3 == 1 else 1 for number in range(2_500)]


async def test_as_many_as_are_asked_for_come_of_those_that_are_there(stores: Stores) -> None:
    keys = [DocumentKey("default", f"s{number}") for number in range(600)]
    await stores.documents.commit([DocumentChange(key, 0, student(1), {7: b"x" * 8}) for key in keys[::2]])
    for count in (0, 1, 2, 3, 99, 100, 101, 102, 499, 500, 501, 600):
        is_there = [number % 2 == 0 for number in range(count)]
        assert [stored is not None for stored in await stores.documents.load(keys[:count])] == is_there
        assert [bool(ids) for ids in await stores.documents.load_cold(keys[:count])] == is_there
        assert await stores.documents.versions(keys[:count]) == [int(there) for there in is_there]
    strangers = [DocumentKey("school-1", key.student_id) for key in keys]
    assert await stores.documents.load(strangers) == [None] * 600
    assert await stores.documents.load_cold(strangers) == [{}] * 600
    assert await stores.documents.versions(strangers) == [0] * 600


async def test_students_can_be_gone_through_while_some_are_removed(stores: Stores) -> None:
    documents = stores.documents
    keys = [DocumentKey("default", f"s{number:04}") for number in range(1_500)]
    await documents.commit([DocumentChange(key, 0, student()) for key in keys])
    seen, removed = set(), 0
    async for key in documents.all_keys():  # on Redis one may come twice
        seen.add(key)
        if len(seen) % 3 == 0:
            removed += sum(await documents.commit([DocumentChange(key, 1, None)]))
    assert sorted(seen) == keys
    assert len(await everyone(documents)) == 1_500 - removed
    assert removed >= 500


async def test_versions_are_those_of_the_documents(stores: Stores) -> None:
    documents = stores.documents
    assert await documents.versions([]) == []
    assert await documents.versions([ADAS, BOBS]) == [0, 0]
    await put(documents, ADAS)
    await put(documents, ADAS, 1, number=1)
    await put(documents, EVES)
    assert await documents.versions([EVES, BOBS, ADAS, EVES]) == [1, 0, 2, 1]
    await documents.commit([DocumentChange(EVES, 1, None)])
    assert await documents.versions([EVES]) == [0]


async def test_an_erasure_takes_document_and_cold_ids_of_one_student(stores: Stores) -> None:
    documents, others = stores.documents, [BOBS, DocumentKey("school-1", "ada")]
    for key in (ADAS, *others):
        await put(documents, key, cold={1: b"x" * 8})
    assert await documents.erase(ADA) == 2
    assert await documents.erase(ADA) == 0
    assert (await read(documents), await cold_ids(documents)) == (None, {})
    assert sorted(await everyone(documents)) == others
    assert await documents.load_cold(others) == [{1: b"x" * 8}] * 2
    assert await put(documents, ADAS, number=3)
    assert await documents.erase(ADA) == 1


async def test_clearing_takes_all_documents_and_cold_ids(stores: Stores) -> None:
    documents = stores.documents
    for key in (ADAS, BOBS, DocumentKey("school-1", "ada")):
        await put(documents, key, cold={1: b"x" * 8})
    await documents.clear()
    await documents.clear()
    assert await everyone(documents) == []
    assert await documents.load_cold([ADAS, BOBS]) == [{}, {}]
    assert await documents.versions([ADAS, BOBS]) == [0, 0]
    assert await put(documents, ADAS, version=0)


# ---- in several courses

COURSE_IDS = ("default", "rust", "a:b", "}:d:x", "edX/DemoX {2026}", "größe 🎓" * 12)


def of_ada(*course_ids: str) -> list[DocumentKey]:
    return [DocumentKey(*ADA, course_id) for course_id in course_ids]


async def courses(stores: Stores, *students: StudentKey) -> list[dict[str, tuple[int, Student]]]:
    found = await stores.documents.of_students(students)
    return [{course_id: (held.version, held.student) for course_id, held in own.items()} for own in found]


async def test_a_student_has_a_document_in_each_course(stores: Stores) -> None:
    documents, keys = stores.documents, of_ada(*COURSE_IDS)
    changes = [DocumentChange(key, 0, student(number), {number: b"x" * 8}) for number, key in enumerate(keys)]
    assert await documents.commit([*changes, DocumentChange(BOBS, 0, student(9))]) == [True] * 7
    assert [held and held.student for held in await documents.load(keys)] == [student(number) for number in range(6)]
    assert await documents.load_cold(keys) == [{number: b"x" * 8} for number in range(6)]
    assert sorted(await everyone(documents)) == sorted([*keys, BOBS])
    nobody, elsewhere = StudentKey("default", "nobody"), StudentKey("school-1", "ada")
    everything = {course_id: (1, student(number)) for number, course_id in enumerate(COURSE_IDS)}
    assert await courses(stores, nobody, ADA, BOB, elsewhere) == [{}, everything, {"default": (1, student(9))}, {}]
    assert await courses(stores, ADA) == [everything]
    assert await courses(stores) == []


async def test_documents_of_one_student_in_several_courses_do_not_disturb_each_other(stores: Stores) -> None:
    default, rust, other = of_ada("default", "rust", "a:b")
    assert await put(stores.documents, rust, number=1, cold={1: b"x" * 8})
    assert await courses(stores, ADA) == [{"rust": (1, student(1))}]
    assert not await put(stores.documents, default, version=1)
    changes = [
        DocumentChange(rust, 0, student(2)),
        DocumentChange(default, 0, student(3)),
        DocumentChange(rust, 1, None),
    ]
    assert await stores.documents.commit(changes[:2]) == [False, True]
    assert await put(stores.documents, other, number=4)
    assert await stores.documents.commit(changes[2:]) == [True]
    assert await courses(stores, ADA) == [{"default": (1, student(3)), "a:b": (1, student(4))}]
    assert await stores.documents.versions([rust, other, default]) == [0, 1, 1]
    assert await stores.documents.load_cold([rust]) == [{}]
    assert await put(stores.documents, rust, number=5)
    assert await courses(stores, ADA) == [{"default": (1, student(3)), "a:b": (1, student(4)), "rust": (1, student(5))}]


async def test_of_writers_in_several_courses_at_once_all_are_listed(stores: Stores) -> None:
    async def write(key: DocumentKey) -> None:
        for version in range(3):
            assert await put(stores.documents, key, version)

    keys = of_ada("default", *[f"course-{number}" for number in range(8)])
    await asyncio.gather(*map(write, keys))
    assert (await courses(stores, ADA))[0].keys() == {key.course_id for key in keys}


async def test_an_erasure_and_a_clearing_take_a_students_documents_in_all_courses(stores: Stores) -> None:
    documents = stores.documents
    for key in (*of_ada("default", "rust", "a:b"), DocumentKey(*BOB, "rust")):
        await put(documents, key, cold={1: b"x" * 8})
    assert await documents.erase(ADA) == 6
    assert await documents.erase(ADA) == 0
    assert await everyone(documents) == [DocumentKey(*BOB, "rust")]
    assert await courses(stores, ADA, BOB) == [{}, {"rust": (1, student(0))}]
    await documents.clear()
    assert await everyone(documents) == []
    assert await courses(stores, ADA, BOB) == [{}, {}]
    assert await put(documents, DocumentKey(*BOB, "rust")) or await put(documents, DocumentKey(*BOB, "rust"))
    assert (await courses(stores, BOB))[0].keys() == {"rust"}


async def test_the_documents_of_many_students_come_at_once(stores: Stores) -> None:
    keys = [DocumentKey("default", f"s{number}", COURSE_IDS[number % 3]) for number in range(700)]
    await stores.documents.commit([DocumentChange(key, 0, student(number)) for number, key in enumerate(keys)])
    found = await courses(stores, *[key.student for key in keys])
    assert found == [{key.course_id: (1, student(number))} for number, key in enumerate(keys)]


# ---- for queries


async def test_the_reader_has_all_courses_of_a_student_and_forgets_them(stores: Stores) -> None:
    reader, (default, rust) = stores.reader, of_ada("default", "rust")
    assert await reader.of_students([ADA]) == [{}]
    for version in range(2):
        for key in (default, rust):
            await put(stores.documents, key, version, number=version)
            reader.forget([key])
            assert await reader.of_students([BOB, ADA]) == [{}, (await stores.documents.of_students([ADA]))[0]]
    await stores.documents.erase(ADA)
    reader.forget_students([ADA])
    assert await reader.of_students([ADA]) == [{}]
    assert await reader.load([default, rust]) == [None, None]


async def test_queries_read_what_the_store_holds_at_once_after_what_changed_is_forgotten(stores: Stores) -> None:
    assert await stores.reader.load([ADAS]) == [None]
    for version in range(3):
        await put(stores.documents, ADAS, version, number=version)
        stores.reader.forget([ADAS, BOBS])
        assert await stores.reader.load([BOBS, ADAS]) == [None, (await stores.documents.load([ADAS]))[0]]
    await stores.documents.erase(ADA)
    stores.reader.forget([ADAS])
    assert await stores.reader.load([ADAS]) == [None]
    await stores.reader.close()


async def test_servers_as_they_should_be_have_no_dangers(stores: Stores) -> None:
    """A folder for temporary files may lie in memory."""
    assert [danger for danger in await stores.connection.dangers() if "in memory" not in danger.message] == []


async def test_they_answer_while_they_are_open_and_may_be_closed_twice(stores: Stores) -> None:
    await stores.connection.ping()
    await stores.connection.close()
    await stores.connection.close()


@pytest.mark.parametrize("opener", on("redis", "sentinel", "cluster", "dapr", "daprd"))
async def test_a_query_is_answered_soon_even_if_a_store_hangs(
    opener: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store on this machine does not hang; one that is a network away may."""

    async def hang(*_: Any) -> Any:
        await asyncio.sleep(60)

    async with STORES[opener](tmp_path, request) as remote:
        monkeypatch.setattr(type(remote.documents), "load", hang)
        monkeypatch.setattr("mastery_engine.ports.documents.LOAD_S", 0.1)
        started = monotonic()
        with pytest.raises(Unavailable, match="has not answered within 0.1 seconds"):
            await remote.reader.load([ADAS])
        assert monotonic() - started < 5


async def test_a_tenants_students_come_in_pages_by_id_each_once(stores: Stores) -> None:
    documents = stores.documents
    names = sorted(f"s{number:03}" for number in range(25))
    for name in reversed(names):
        await put(documents, StudentKey("default", name))
    await put(documents, DocumentKey("default", "s003", "rust/ß"))
    await put(documents, DocumentKey("default", "a-1", "rust/ß"))
    await put(documents, StudentKey("school-1", "s999"))
    everybody = ["a-1", *names]
    assert await documents.students_of("default", after="", limit=100) == everybody
    found: list[str] = []
    while page := await documents.students_of("default", after=found[-1] if found else "", limit=7):
        assert len(page) <= 7
        found += page
    assert found == everybody
    assert await documents.students_of("default", after="s0035", limit=2) == ["s004", "s005"]
    assert await documents.students_of("school-1", after="", limit=2) == ["s999"]
    assert await documents.students_of("school-2", after="", limit=2) == []
