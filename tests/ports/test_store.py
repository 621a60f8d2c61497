"""What every store promises, whichever it is: one suite, run over all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from mastery_engine.backends.memory.store import MemoryStore
from mastery_engine.backends.redis.client import connect
from mastery_engine.backends.redis.store import RedisStore
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.store import SqliteStore
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student, StudentKey
from mastery_engine.domain.transition import apply
from mastery_engine.errors import FellBack, InvalidInput
from mastery_engine.ports.audit_log import AuditFilter, AuditRecord
from mastery_engine.ports.documents import Change, Refusal, Store
from mastery_engine.ports.jobs import BatchJob
from scripts.servers.redis import Redis, RedisCluster, RedisSentinel
from tests.support.samples import NOW, done, given, helped, logged, quiz

ADA, BOB, EVE = (StudentKey("default", name) for name in ("ada", "bob", "eve"))


@asynccontextmanager
async def memory(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    yield MemoryStore()


@asynccontextmanager
async def sqlite(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    store = SqliteStore(Database(home / "store.db"))
    yield store
    await store.close()


@asynccontextmanager
async def on_redis(url: str, servers: Iterable[Redis]) -> AsyncIterator[Store]:
    """A store on emptied servers."""
    for server in servers:
        with server.client() as client:
            client.flushall()
    store = RedisStore(connect(url), retention_days=90)
    yield store
    await store.close()


def redis(home: Path, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Store]:
    server: Redis = request.getfixturevalue("redis_server")
    return on_redis(server.url, [server])


def sentinel(home: Path, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Store]:
    group: RedisSentinel = request.getfixturevalue("redis_sentinel")
    return on_redis(group.url, [group.master()])


def cluster(home: Path, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Store]:
    group: RedisCluster = request.getfixturevalue("redis_cluster")
    return on_redis(group.url, group.nodes)


Opener = Callable[[Path, pytest.FixtureRequest], AbstractAsyncContextManager[Store]]
STORES: list[Opener] = [memory, sqlite]
REAL: list[Opener] = [redis, sentinel, cluster]
PARAMS = [*STORES, *(pytest.param(one, marks=pytest.mark.xdist_group("kafka")) for one in REAL)]


@pytest.fixture(params=PARAMS, ids=lambda opener: opener.__name__)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opener: Opener = request.param
    async with opener(tmp_path, request) as opened:
        yield opened


def student(number: int = 0) -> Student:
    """A document that differs by the number."""
    events = [quiz(number % 10, 10, f"quiz-{number}"), done("größe", 1, 2, "done"), given("set", quality=0.5)]
    return apply(NOBODY, logged([*events, *[helped(f"help-{n}") for n in range(number % 3)]]), NOW, Rules()).student


async def put(store: Store, key: StudentKey, version: int = 0, number: int = 0, **more: dict[int, bytes]) -> bool:
    (won,) = await store.commit([Change(key, version, student(number), more.get("cold"))])
    return won


async def read(store: Store, key: StudentKey = ADA) -> tuple[int, Student] | None:
    (held,) = await store.load([key])
    return None if held is None else (held.version, held.student)


async def cold(store: Store, key: StudentKey = ADA) -> dict[int, bytes]:
    return dict((await store.load_cold([key]))[0])


async def everyone(store: Store) -> list[StudentKey]:
    return [key async for key in store.students()]


# ---- floods


async def test_a_flood_is_known_until_it_is_over_whatever_else_is_removed(store: Store) -> None:
    assert await store.floods("log") == set()
    for partition in (3, 0, 3):
        await store.set_flood("log", partition, flooded=True)
    await store.set_flood("other", 1, flooded=True)
    await store.clear()
    assert (await store.floods("log"), await store.floods("other")) == ({0, 3}, {1})
    for _ in range(2):
        await store.set_flood("log", 3, flooded=False)
        assert (await store.floods("log"), await store.floods("other")) == ({0}, {1})


# ---- documents


async def test_nobody_is_there_at_first(store: Store) -> None:
    assert await store.load([ADA, BOB]) == [None, None]
    assert await store.load_cold([ADA]) == [{}]
    assert await store.load([]) == []
    assert await store.load_cold([]) == []
    assert await store.commit([]) == []
    assert await everyone(store) == []


async def test_a_document_comes_back_as_it_was_with_the_number_of_its_writes(store: Store) -> None:
    for version in range(3):
        assert await put(store, ADA, version, number=version)
        assert await read(store) == (version + 1, student(version))


async def test_documents_come_in_the_order_of_the_keys(store: Store) -> None:
    assert await store.commit([Change(key, 0, student(n)) for n, key in enumerate((ADA, BOB, EVE))]) == [True] * 3
    found = await store.load([EVE, StudentKey("default", "nobody"), ADA, EVE])
    assert [None if held is None else held.student for held in found] == [student(2), None, student(0), student(2)]


async def test_a_writer_that_lost_changes_nothing(store: Store) -> None:
    assert not await put(store, ADA, version=1)
    assert await read(store) is None
    assert await put(store, ADA, version=0, number=1, cold={1: b"x" * 8})
    for stale in (0, 2, 7):
        assert not await put(store, ADA, stale, number=9, cold={9: b"y" * 8})
    assert await read(store) == (1, student(1))
    assert await cold(store) == {1: b"x" * 8}


async def test_each_change_of_a_batch_wins_or_loses_alone(store: Store) -> None:
    await put(store, BOB, number=1)
    changes = [Change(ADA, 0, student(2)), Change(BOB, 0, student(2)), Change(EVE, 1, student(2))]
    assert await store.commit(changes) == [True, False, False]
    assert [await read(store, key) for key in (ADA, BOB, EVE)] == [(1, student(2)), (1, student(1)), None]


async def test_of_many_writers_at_once_one_wins_each_round(store: Store) -> None:
    async def write() -> int:
        lost = 0
        while True:
            (held,) = await store.load([ADA])
            await asyncio.sleep(0)
            if await put(store, ADA, held.version if held else 0):
                return lost
            lost += 1

    lost = await asyncio.gather(*[write() for _ in range(12)])
    found = await read(store)
    assert found is not None
    assert found[0] == 12
    assert sum(lost) > 0


async def test_tenants_and_cases_are_apart(store: Store) -> None:
    keys = [
        StudentKey(tenant, name)
        for tenant in ("default", "school-1", "school")
        for name in ("ada", "Ada", "1-ada", "_", "-", "007", "7", "1e3", "null", "x" * 50)
    ]
    assert all(await store.commit([Change(key, 0, student(n)) for n, key in enumerate(keys)]))
    found = await store.load(keys)
    assert [held.student for held in found if held] == [student(n) for n in range(len(keys))]
    for number, key in enumerate(keys):
        assert await read(store, key) == (1, student(number))
    assert sorted(await everyone(store)) == sorted(keys)
    assert await read(store, StudentKey("other", "ada")) is None


async def test_what_is_removed_is_gone_with_its_cold_ids(store: Store) -> None:
    await put(store, ADA, cold={1: b"x" * 8})
    await put(store, BOB, cold={2: b"y" * 8})
    assert await store.commit([Change(ADA, 1, None, {3: b"z" * 8})]) == [True]
    assert (await read(store), await cold(store)) == (None, {})
    assert await everyone(store) == [BOB]
    assert await cold(store, BOB) == {2: b"y" * 8}
    assert await put(store, ADA, version=0, number=5)
    assert (await read(store), await cold(store)) == ((1, student(5)), {})


async def test_a_removal_can_lose_too(store: Store) -> None:
    await put(store, ADA)
    await put(store, ADA, version=1, number=1, cold={1: b"x" * 8})
    for stale in (0, 1, 3):
        assert await store.commit([Change(ADA, stale, None), Change(BOB, 1, None)]) == [False, False]
    assert (await read(store), await cold(store)) == ((2, student(1)), {1: b"x" * 8})
    assert await store.commit([Change(BOB, 0, None)]) == [True]  # there is none, as was said
    assert await read(store, BOB) is None


async def test_cold_ids_stay_where_none_are_given(store: Store) -> None:
    await put(store, ADA, 0, cold={20_000: b"x" * 8, 20_001: b"y" * 16})
    await put(store, ADA, 1)
    assert await cold(store) == {20_000: b"x" * 8, 20_001: b"y" * 16}
    await put(store, ADA, 2, cold={20_002: b"z" * 8})
    assert await cold(store) == {20_002: b"z" * 8}
    await put(store, ADA, 3, cold={})
    assert await cold(store) == {}
    await put(store, BOB, 0, cold={1: b"b" * 8})
    assert await store.load_cold([EVE, BOB, ADA, BOB]) == [{}, {1: b"b" * 8}, {}, {1: b"b" * 8}]


async def test_thousands_at_once(store: Store) -> None:
    keys = [StudentKey(f"school-{n % 3}", f"student_{n}") for n in range(2_500)]
    assert all(await store.commit([Change(key, 0, student(n % 20), {n: b"x" * 8}) for n, key in enumerate(keys)]))
    found = await store.load(keys[::-1])
    assert [held.student for held in found if held] == [student(n % 20) for n in range(2_500)][::-1]
    assert await store.load_cold(keys) == [{n: b"x" * 8} for n in range(2_500)]
    assert sorted(await everyone(store)) == sorted(keys)
    again = [Change(key, n % 3, student(n % 20 + 1)) for n, key in enumerate(keys)]
    assert await store.commit(again) == [n % 3 == 1 for n in range(2_500)]


async def test_students_can_be_gone_through_while_some_are_removed(store: Store) -> None:
    keys = [StudentKey("default", f"s{n:04}") for n in range(1_500)]
    await store.commit([Change(key, 0, student()) for key in keys])
    seen, removed = set(), 0
    async for key in store.students():  # on Redis one may come twice
        seen.add(key)
        if len(seen) % 3 == 0:
            removed += sum(await store.commit([Change(key, 1, None)]))
    assert sorted(seen) == keys
    assert len(await everyone(store)) == 1_500 - removed
    assert removed >= 500


# ---- marks


async def test_marks_are_the_logs_and_the_partitions(store: Store) -> None:
    assert (await store.marks("log-1")).offsets == {}
    life = (await store.marks("log-1")).life
    await store.move_marks("log-1", {0: 0, 1: 0}, {0: 7, 1: 3}, life)
    await store.move_marks("log-2", {0: 0}, {0: 1}, life)
    await store.move_marks("log-1", {1: 3}, {1: 9}, life)
    assert (await store.marks("log-1")).offsets == {0: 7, 1: 9}
    assert (await store.marks("log-2")).offsets == {0: 1}
    assert (await store.marks("log-3")).offsets == {}


async def test_a_mark_moves_only_from_where_it_is_and_never_back(store: Store) -> None:
    life = (await store.marks("log")).life
    await store.move_marks("log", {0: 0, 1: 0}, {0: 5, 1: 5}, life)
    with pytest.raises(FellBack):
        await store.move_marks("log", {1: 5, 0: 6}, {1: 8, 0: 9}, life)
    with pytest.raises(FellBack):
        await store.move_marks("log", {2: 1}, {2: 2}, life)
    assert (await store.marks("log")).offsets == {0: 5, 1: 5}
    await store.move_marks("log", {0: 0}, {0: 4}, life)  # read again from further back
    assert (await store.marks("log")).offsets == {0: 5, 1: 5}
    await store.move_marks("log", {0: 2}, {0: 8}, life)
    assert (await store.marks("log")).offsets == {0: 8, 1: 5}


async def test_marks_that_were_read_do_not_move_by_themselves(store: Store) -> None:
    life = (await store.marks("log")).life
    await store.move_marks("log", {0: 0}, {0: 5}, life)
    before = await store.marks("log")
    await store.move_marks("log", {0: 5}, {0: 6}, life)
    assert before.offsets == {0: 5}


async def test_clearing_takes_documents_and_marks_and_leaves_the_trail(store: Store) -> None:
    await put(store, ADA, cold={1: b"x" * 8})
    await store.move_marks("log", {0: 0}, {0: 5}, (await store.marks("log")).life)
    await store.audit([record()])
    await store.put_batch(job())
    await store.clear()
    assert (await read(store), await cold(store), await everyone(store)) == (None, {}, [])
    assert (await store.marks("log")).offsets == {}
    assert await store.audited("default", limit=9) == [record()]
    assert await store.batch("default", "b-1") == job()
    assert await put(store, ADA, version=0)


# ---- what became of events


def refusal(event_id: str = "e-1", key: StudentKey = ADA, message: str = "too old", at: int = NOW) -> Refusal:
    return Refusal(key, event_id, "VALIDATION_ERROR", message, at)


async def test_a_refusal_is_found_by_its_event_the_last_one_counting(store: Store) -> None:
    assert await store.refusal(ADA, "e-1") is None
    await store.note_refusals([])
    await store.note_refusals([refusal(), refusal("e-2"), refusal(key=BOB), refusal("E-1")])
    await store.note_refusals([refusal(message="größer", at=NOW + 1)])
    assert await store.refusal(ADA, "e-1") == refusal(message="größer", at=NOW + 1)
    assert await store.refusal(ADA, "E-1") == refusal("E-1")
    assert await store.refusal(BOB, "e-1") == refusal(key=BOB)
    assert await store.refusal(StudentKey("school-1", "ada"), "e-1") is None
    assert await store.refusal(ADA, "e-3") is None


# ---- the trail


def record(number: int = 0, tenant: str = "default", at: int = NOW, student_id: str | None = "ada") -> AuditRecord:
    return AuditRecord(at, tenant, f"user-{number}", "admin", "query", student_id, number % 2 == 0, "::1", "größe")


async def test_the_trail_is_read_newest_first(store: Store) -> None:
    assert await store.audited("default", limit=5) == []
    await store.audit([])
    await store.audit([record(0), record(1, student_id=None)])
    await store.audit([record(2, at=NOW - 9), record(3, tenant="school-1"), record(4)])
    expected = [record(4), record(2, at=NOW - 9), record(1, student_id=None), record(0)]
    assert await store.audited("default", limit=9) == expected
    assert await store.audited("default", limit=2) == expected[:2]
    assert await store.audited("school-1", limit=9) == [record(3, tenant="school-1")]


async def test_the_same_access_twice_is_on_record_twice(store: Store) -> None:
    await store.audit([record(), record()])
    assert await store.audited("default", limit=9) == [record(), record()]


async def test_writers_at_once_lose_no_record(store: Store) -> None:
    await asyncio.gather(*[store.audit([record(2 * n), record(2 * n + 1)]) for n in range(50)])
    found = await store.audited("default", limit=1_000)
    assert sorted(found, key=lambda one: int(one.subject[5:])) == [record(n) for n in range(100)]


# ---- batches


def job(batch_id: str = "b-1", created: int = NOW, tenant: str = "default", answer: bytes | None = None) -> BatchJob:
    return BatchJob(tenant, batch_id, "user-1", "high", created, b'{"role":"admin"}', b'{"rows":[]}', answer)


async def test_a_batch_is_kept_and_answered(store: Store) -> None:
    assert await store.batch("default", "b-1") is None
    assert await store.open_batches() == []
    for one in (job("b-3", NOW + 2), job("b-1"), job("b-2", NOW + 1), job("b-1", NOW - 1, "school-1")):
        await store.put_batch(one)
    assert await store.batch("default", "b-1") == job()
    assert await store.batch("school-1", "b-1") == job("b-1", NOW - 1, "school-1")
    assert await store.batch("school-1", "b-2") is None
    names = [(one.tenant, one.batch_id) for one in await store.open_batches()]
    assert names == [("school-1", "b-1"), ("default", "b-1"), ("default", "b-2"), ("default", "b-3")]
    answered = msgspec.structs.replace(job("b-2", NOW + 1), answer=b'{"results":[]}')
    await store.put_batch(answered)
    assert await store.batch("default", "b-2") == answered
    assert [one.batch_id for one in await store.open_batches()] == ["b-1", "b-1", "b-3"]


# ---- the purge


async def test_a_purge_takes_what_is_older_than_a_moment_and_no_document(store: Store) -> None:
    await put(store, ADA)
    await store.audit([record(n, at=NOW + n) for n in (-2, -1, 0, 1)])
    for number in (-1, 0):
        await store.put_batch(job(f"b{number}", NOW + number))
        await store.note_refusals([refusal(f"e{number}", at=NOW + number)])
    assert await store.purge(NOW) == 4
    assert [one.at - NOW for one in await store.audited("default", limit=9)] == [1, 0]
    assert [one.batch_id for one in await store.open_batches()] == ["b0"]
    assert (await store.refusal(ADA, "e-1"), await store.refusal(ADA, "e0")) == (None, refusal("e0"))
    assert await read(store) is not None
    assert await store.purge(NOW) == 0


async def test_it_answers_while_it_is_open(store: Store) -> None:
    await store.ping()


# ---- erasures, and the audit trail's pages


async def test_an_erasure_takes_all_that_is_the_students_and_nothing_else(store: Store) -> None:
    for key in (ADA, BOB, StudentKey("school-1", "ada")):
        await put(store, key, cold={1: b"x" * 8})
        await store.note_refusals([Refusal(key, "e-1", "CODE", "why", NOW)])
    jobs = [
        BatchJob("default", "of-ada", "tutor", "normal", NOW, b"{}", b'{"rows":[{"student_id":"ada"}]}'),
        BatchJob("default", "by-adas-teacher", "tutor", "normal", NOW, b'{"students":["ada"]}', b"{}"),
        BatchJob("default", "of-bob", "tutor", "normal", NOW, b"{}", b'{"rows":[{"student_id":"bob"}]}'),
        BatchJob("school-1", "of-ada", "tutor", "normal", NOW, b"{}", b'{"rows":[{"student_id":"ada"}]}'),
    ]
    for job in jobs:
        await store.put_batch(job)
    assert [one.event_id for one in await store.refusals(ADA)] == ["e-1"]
    assert await store.erase(ADA) == 5
    assert await store.erase(ADA) == 0
    assert await read(store) is None
    assert await cold(store) == {}
    assert await store.refusals(ADA) == []
    assert await store.batch("default", "of-ada") is None
    await store.put_batch(msgspec.structs.replace(jobs[0], answer=b"{}"))  # it was worked meanwhile
    assert await store.batch("default", "of-ada") is None
    assert {(job.tenant, job.batch_id) for job in await store.open_batches()} == {
        ("default", "of-bob"),
        ("school-1", "of-ada"),
    }
    assert sorted(await everyone(store)) == [BOB, StudentKey("school-1", "ada")]
    assert await store.refusal(BOB, "e-1") is not None


async def test_the_audit_trail_is_filtered_and_paged_newest_first(store: Store) -> None:
    written = [record(n, at=NOW + n // 2 * 1_000_000, student_id="ada" if n % 3 else None) for n in range(20)]
    await store.audit([*written, record(0, tenant="school-1")])
    newest = written[::-1]

    async def pages(wanted: AuditFilter, limit: int) -> list[list[AuditRecord]]:
        found: list[list[AuditRecord]] = []
        cursor: str | None = None
        while not found or cursor is not None:
            page = await store.audit_page("default", wanted, limit=limit, cursor=cursor)
            found.append(page.records)
            cursor = page.cursor
        return found

    assert await pages(AuditFilter(), 100) == [newest]
    assert await pages(AuditFilter(), 10) == [newest[:10], newest[10:]]
    assert await pages(AuditFilter(call="other"), 10) == [[]]
    wanted = {
        AuditFilter(student="ada"): [one for one in newest if one.student_id == "ada"],
        AuditFilter(subject="user-7", call="query"): [written[7]],
        AuditFilter(allowed=False): newest[::2],
        AuditFilter(start=NOW + 1_000_000, end=NOW + 3_000_000): written[2:6][::-1],
    }
    for one, expected in wanted.items():
        assert [found for page in await pages(one, 3) for found in page] == expected
    for bad in ("x", "-1", "1-x"):
        with pytest.raises(InvalidInput):
            await store.audit_page("default", AuditFilter(), limit=1, cursor=bad)
