"""What every backend promises of documents."""

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

import mastery_engine.backends
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.documents import DocumentChange
from tests.support.stores import ADA, BOB, EVE, STORES, cold_ids, everyone, on, put, read, stores_fixture, student

stores = stores_fixture()


def test_no_backend_goes_without_the_suites() -> None:
    backends = Path(mastery_engine.backends.__path__[0])
    assert {file.parent.name for file in backends.glob("*/stores.py")} <= STORES.keys()


async def test_nobody_is_there_at_first(stores: Stores) -> None:
    documents = stores.documents
    assert await documents.load([ADA, BOB]) == [None, None]
    assert await documents.load_cold([ADA]) == [{}]
    assert await documents.load([]) == []
    assert await documents.load_cold([]) == []
    assert await documents.commit([]) == []
    assert await everyone(documents) == []


async def test_a_document_comes_back_as_it_was_with_the_number_of_its_writes(stores: Stores) -> None:
    for version in range(3):
        assert await put(stores.documents, ADA, version, number=version)
        assert await read(stores.documents) == (version + 1, student(version))


async def test_documents_come_in_the_order_of_the_keys(stores: Stores) -> None:
    changes = [DocumentChange(key, 0, student(number)) for number, key in enumerate((ADA, BOB, EVE))]
    assert await stores.documents.commit(changes) == [True] * 3
    loaded = await stores.documents.load([EVE, StudentKey("default", "nobody"), ADA, EVE])
    assert [stored and stored.student for stored in loaded] == [student(2), None, student(0), student(2)]


async def test_a_writer_that_lost_changes_nothing(stores: Stores) -> None:
    documents = stores.documents
    assert not await put(documents, ADA, version=1)
    assert await read(documents) is None
    assert await put(documents, ADA, version=0, number=1, cold={1: b"x" * 8})
    for stale in (0, 2, 7):
        assert not await put(documents, ADA, stale, number=9, cold={9: b"y" * 8})
    assert await read(documents) == (1, student(1))
    assert await cold_ids(documents) == {1: b"x" * 8}


async def test_each_change_of_a_batch_wins_or_loses_alone(stores: Stores) -> None:
    documents = stores.documents
    await put(documents, BOB, number=1)
    changes = [DocumentChange(key, version, student(2)) for key, version in ((ADA, 0), (BOB, 0), (EVE, 1))]
    assert await documents.commit(changes) == [True, False, False]
    assert [await read(documents, key) for key in (ADA, BOB, EVE)] == [(1, student(2)), (1, student(1)), None]


async def test_of_many_writers_at_once_one_wins_each_round(stores: Stores) -> None:
    async def write() -> int:
        lost = 0
        while True:
            (stored,) = await stores.documents.load([ADA])
            await asyncio.sleep(0)
            if await put(stores.documents, ADA, stored.version if stored else 0):
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
        StudentKey(tenant, name)
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
    assert await read(documents, StudentKey("other", "ada")) is None


async def test_what_is_removed_is_gone_with_its_cold_ids(stores: Stores) -> None:
    documents = stores.documents
    await put(documents, ADA, cold={1: b"x" * 8})
    await put(documents, BOB, cold={2: b"y" * 8})
    assert await documents.commit([DocumentChange(ADA, 1, None, {3: b"z" * 8})]) == [True]
    assert (await read(documents), await cold_ids(documents)) == (None, {})
    assert await everyone(documents) == [BOB]
    assert await cold_ids(documents, BOB) == {2: b"y" * 8}
    assert await put(documents, ADA, version=0, number=5)
    assert (await read(documents), await cold_ids(documents)) == ((1, student(5)), {})


async def test_a_removal_can_lose_too(stores: Stores) -> None:
    documents = stores.documents
    await put(documents, ADA)
    await put(documents, ADA, version=1, number=1, cold={1: b"x" * 8})
    for stale in (0, 1, 3):
        changes = [DocumentChange(ADA, stale, None), DocumentChange(BOB, 1, None)]
        assert await documents.commit(changes) == [False, False]
    assert (await read(documents), await cold_ids(documents)) == ((2, student(1)), {1: b"x" * 8})
    assert await documents.commit([DocumentChange(BOB, 0, None)]) == [True]  # there is none, as was said
    assert await read(documents, BOB) is None


async def test_cold_ids_stay_where_none_are_given(stores: Stores) -> None:
    documents = stores.documents
    await put(documents, ADA, 0, cold={20_000: b"x" * 8, 20_001: b"y" * 16})
    await put(documents, ADA, 1)
    assert await cold_ids(documents) == {20_000: b"x" * 8, 20_001: b"y" * 16}
    await put(documents, ADA, 2, cold={20_002: b"z" * 8})
    assert await cold_ids(documents) == {20_002: b"z" * 8}
    await put(documents, ADA, 3, cold={})
    assert await cold_ids(documents) == {}
    await put(documents, BOB, 0, cold={1: b"b" * 8})
    assert await documents.load_cold([EVE, BOB, ADA, BOB]) == [{}, {1: b"b" * 8}, {}, {1: b"b" * 8}]


async def test_thousands_at_once(stores: Stores) -> None:
    documents = stores.documents
    keys = [StudentKey(f"school-{number % 3}", f"student_{number}") for number in range(2_500)]
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
    keys = [StudentKey("default", f"s{number}") for number in range(600)]
    await stores.documents.commit([DocumentChange(key, 0, student(1), {7: b"x" * 8}) for key in keys[::2]])
    for count in (0, 1, 2, 3, 99, 100, 101, 102, 499, 500, 501, 600):
        is_there = [number % 2 == 0 for number in range(count)]
        assert [stored is not None for stored in await stores.documents.load(keys[:count])] == is_there
        assert [bool(ids) for ids in await stores.documents.load_cold(keys[:count])] == is_there
        assert await stores.documents.versions(keys[:count]) == [int(there) for there in is_there]
    strangers = [StudentKey("school-1", key.student_id) for key in keys]
    assert await stores.documents.load(strangers) == [None] * 600
    assert await stores.documents.load_cold(strangers) == [{}] * 600
    assert await stores.documents.versions(strangers) == [0] * 600


async def test_students_can_be_gone_through_while_some_are_removed(stores: Stores) -> None:
    documents = stores.documents
    keys = [StudentKey("default", f"s{number:04}") for number in range(1_500)]
    await documents.commit([DocumentChange(key, 0, student()) for key in keys])
    seen, removed = set(), 0
    async for key in documents.students():  # on Redis one may come twice
        seen.add(key)
        if len(seen) % 3 == 0:
            removed += sum(await documents.commit([DocumentChange(key, 1, None)]))
    assert sorted(seen) == keys
    assert len(await everyone(documents)) == 1_500 - removed
    assert removed >= 500


async def test_versions_are_those_of_the_documents(stores: Stores) -> None:
    documents = stores.documents
    assert await documents.versions([]) == []
    assert await documents.versions([ADA, BOB]) == [0, 0]
    await put(documents, ADA)
    await put(documents, ADA, 1, number=1)
    await put(documents, EVE)
    assert await documents.versions([EVE, BOB, ADA, EVE]) == [1, 0, 2, 1]
    await documents.commit([DocumentChange(EVE, 1, None)])
    assert await documents.versions([EVE]) == [0]


async def test_an_erasure_takes_document_and_cold_ids_of_one_student(stores: Stores) -> None:
    documents, others = stores.documents, [BOB, StudentKey("school-1", "ada")]
    for key in (ADA, *others):
        await put(documents, key, cold={1: b"x" * 8})
    assert await documents.erase(ADA) == 2
    assert await documents.erase(ADA) == 0
    assert (await read(documents), await cold_ids(documents)) == (None, {})
    assert sorted(await everyone(documents)) == others
    assert await documents.load_cold(others) == [{1: b"x" * 8}] * 2
    assert await put(documents, ADA, number=3)
    assert await documents.erase(ADA) == 1


async def test_clearing_takes_all_documents_and_cold_ids(stores: Stores) -> None:
    documents = stores.documents
    for key in (ADA, BOB, StudentKey("school-1", "ada")):
        await put(documents, key, cold={1: b"x" * 8})
    await documents.clear()
    await documents.clear()
    assert await everyone(documents) == []
    assert await documents.load_cold([ADA, BOB]) == [{}, {}]
    assert await documents.versions([ADA, BOB]) == [0, 0]
    assert await put(documents, ADA, version=0)


# ---- for queries


async def test_queries_read_what_the_store_holds_at_once_after_what_changed_is_forgotten(stores: Stores) -> None:
    assert await stores.reader.load([ADA]) == [None]
    for version in range(3):
        await put(stores.documents, ADA, version, number=version)
        stores.reader.forget([ADA, BOB])
        assert await stores.reader.load([BOB, ADA]) == [None, (await stores.documents.load([ADA]))[0]]
    await stores.documents.erase(ADA)
    stores.reader.forget([ADA])
    assert await stores.reader.load([ADA]) == [None]
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
            await remote.reader.load([ADA])
        assert monotonic() - started < 5
