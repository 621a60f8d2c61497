"""What every backend that keeps statements promises: all or none, found by what they have, and gone in time."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.ports.statements import (
    MOST_LINKS,
    MOST_THROUGH,
    StatementOutcome,
    StatementQuery,
    StatementRecord,
    StatementStore,
)
from tests.support.samples import NOW
from tests.support.stores import STORES, on

STORED, REPEATED, VOIDED, DIFFERS = (
    StatementOutcome.STORED,
    StatementOutcome.REPEATED,
    StatementOutcome.VOIDED,
    StatementOutcome.DIFFERS,
)


@pytest.fixture(params=on("memory", "sqlite", "redis", "cluster"))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StatementStore]:
    async with STORES[request.param](tmp_path, request) as opened:
        assert opened.statements is not None
        yield opened.statements


def name(number: int) -> str:
    return str(UUID(int=(8 << 64) + (4 << 76) + number))


def facet(letter: str) -> bytes:
    return letter.encode() * 16


def record(number: int, facets: str = "", target: int | None = None, **more: object) -> StatementRecord:
    """A statement with facets by their letters; it refers to another one where it has a ``target``."""
    usual = StatementRecord(
        name(number),
        f'{{"number":{number}}}'.encode(),
        b"digest-%d" % number,
        0,
        tuple(facet(letter) for letter in facets),
        None if target is None else name(target),
    )
    fields = {field: getattr(usual, field) for field in usual.__struct_fields__}
    return StatementRecord(**{**fields, **more})  # type: ignore[arg-type]


async def put(
    store: StatementStore, *records: StatementRecord, tenant: str = "default", now: Micros = NOW
) -> list[StatementOutcome]:
    return await store.put(tenant, records, {}, now)


async def numbers(store: StatementStore, *every: str, tenant: str = "default", **more: object) -> list[int]:
    """The numbers of the statements found by facets: each text has those of which one is enough."""
    wanted = tuple(tuple(facet(letter) for letter in one) for one in every)
    found = await store.find(tenant, StatementQuery(wanted, **more))  # type: ignore[arg-type]
    return [UUID(one.statement_id).int & 0xFFFF for one in found]


async def stored_at(store: StatementStore, numbers: Iterable[int], tenant: str = "default") -> list[Micros]:
    loaded = await store.load(tenant, [name(number) for number in numbers])
    return [one.stored for one in loaded if one is not None]


async def test_a_statement_is_stored_as_it_was_given_and_a_repeat_changes_nothing(store: StatementStore) -> None:
    full = record(1, "ab", 7, stamp=NOW - SECOND, contents=("ab", "cd"))
    assert await put(store, full, record(2)) == [STORED, STORED]
    one, none, two = await store.load("default", [name(1), name(3), name(2)])
    assert one is not None
    assert two is not None
    assert none is None
    assert (one.record, one.stored, one.voided) == (full, NOW, False)
    assert (two.record, two.stored) == (record(2), NOW + 1), "each has a moment of its own"
    assert await put(store, full, record(2), record(3), now=NOW + SECOND) == [REPEATED, REPEATED, STORED]
    assert await stored_at(store, [1, 2, 3]) == [NOW, NOW + 1, NOW + SECOND]
    assert await store.load("default", []) == []


async def test_one_that_differs_keeps_all_that_came_with_it_out(store: StatementStore) -> None:
    await put(store, record(1, stamp=NOW), record(2))
    assert await put(store, record(3), record(1, digest=b"other", stamp=NOW)) == [STORED, DIFFERS]
    assert await put(store, record(3), record(1, stamp=NOW + 1)) == [STORED, DIFFERS]
    assert await store.load("default", [name(3)]) == [None]
    assert await put(store, record(1)) == [REPEATED], "without a time of its own it is the same"
    (at,) = await stored_at(store, [2])
    assert await put(store, record(2, stamp=at)) == [REPEATED], "with the time that the store gave it"
    assert await put(store, record(2, stamp=at + 1)) == [DIFFERS]


async def test_moments_of_storing_never_go_back(store: StatementStore) -> None:
    await put(store, record(1), now=NOW)
    await put(store, record(2), now=NOW - SECOND)
    assert await stored_at(store, [1, 2]) == [NOW, NOW + 1]
    through = await store.consistent_through("default", NOW + SECOND)
    await put(store, record(3), now=NOW + SECOND)
    assert (await stored_at(store, [3]))[0] >= through


async def test_what_is_stored_through_a_moment_is_found_then(store: StatementStore) -> None:
    async def write(number: int) -> None:
        await put(store, record(number, "a"), now=NOW + number)

    async def look(number: int) -> None:
        through = await store.consistent_through("default", NOW + number)
        seen = await numbers(store, until=through, limit=1_000)
        looks.append((through, set(seen)))

    looks: list[tuple[Micros, set[int]]] = []
    await asyncio.gather(*[call(number) for number in range(40) for call in (write, look)])
    for through, seen in looks:
        assert set(await numbers(store, until=through, limit=1_000)) == seen
    assert len(await numbers(store, "a", limit=1_000)) == 40


async def test_statements_are_found_by_what_they_have_in_the_order_of_storing(store: StatementStore) -> None:
    await put(store, record(1, "ab"), record(2, "b"), record(3, "ac"), record(4, "abc"))
    assert await numbers(store) == [4, 3, 2, 1]
    assert await numbers(store, ascending=True) == [1, 2, 3, 4]
    assert await numbers(store, "a") == [4, 3, 1]
    assert await numbers(store, "a", "b") == [4, 1]
    assert await numbers(store, "a", "bc", ascending=True) == [1, 3, 4]
    assert await numbers(store, "bc", limit=2) == [4, 3]
    assert await numbers(store, "bc", "a", limit=2, ascending=True) == [1, 3]
    assert await numbers(store, "x") == []
    assert await numbers(store, "a", since=NOW, until=NOW + 2) == [3]
    assert await numbers(store, since=NOW, until=NOW + 2, ascending=True) == [2, 3]


async def test_pages_lead_through_all(store: StatementStore) -> None:
    everyone = list(range(1, 1_301))
    for start in range(0, len(everyone), 100):
        await put(store, *[record(number, "a" if number % 2 else "b") for number in everyone[start : start + 100]])
    for ascending in (True, False):
        seen: list[int] = []
        after: Micros | None = None
        while True:
            where = {"since": after} if ascending else {"until": None if after is None else after - 1}
            query = StatementQuery(((facet("a"), facet("b")),), limit=170, ascending=ascending, **where)
            found = await store.find("default", query)
            seen += [UUID(one.statement_id).int & 0xFFFF for one in found]
            if len(found) < 170:
                break
            after = found[-1].stored
        assert seen == (everyone if ascending else everyone[::-1])


async def test_tenants_do_not_meet(store: StatementStore) -> None:
    await store.put("default", [record(1, "a", contents=("ab",))], {"ab": b"x"}, NOW)
    await put(store, record(1, "b", digest=b"other"), record(2, "b", 1, voids=True), tenant="school-1")
    assert await numbers(store) == [1]
    assert await numbers(store, tenant="school-1") == [2], "what it voids is its own"
    assert await store.load("school-2", [name(1)]) == [None]
    assert await store.contents("school-1", ["ab"]) == {}
    assert not await store.replace("school-2", name(1), None)
    (kept,) = await store.load("default", [name(1)])
    assert kept is not None
    assert not kept.voided


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (2, 1, 3)])
async def test_what_refers_to_what_is_found_is_found_in_any_order(
    store: StatementStore, order: tuple[int, ...]
) -> None:
    records = {1: record(1, "ab"), 2: record(2, "c", 1), 3: record(3, "d", 2)}
    for number in order:
        await put(store, records[number])
    assert set(await numbers(store, "a")) == {1, 2, 3}
    assert set(await numbers(store, "a", "b")) == {1, 2, 3}
    assert set(await numbers(store, "c")) == {2, 3}
    assert await numbers(store, "d") == [3]
    assert await numbers(store, "a", "c") == [], "of one statement all must be true"
    assert await store.replace("default", name(2), None)
    assert await numbers(store, "a") == [1]
    assert await numbers(store, "c") == []
    await put(store, records[2])
    assert set(await numbers(store, "a")) == {1, 2, 3}
    assert await store.replace("default", name(1), record(1, "b"))
    assert await numbers(store, "a") == []
    assert set(await numbers(store, "b")) == {1, 2, 3}


async def test_references_in_a_circle_end(store: StatementStore) -> None:
    await put(store, record(1, "a", 2), record(2, "b", 3), record(3, "c", 1), record(4, "d", 4))
    for letter in "abc":
        assert set(await numbers(store, letter)) == {1, 2, 3}
    assert await numbers(store, "d") == [4]
    for number in range(1, 5):
        assert await store.replace("default", name(number), None)
    assert [await numbers(store, letter) for letter in "abcd"] == [[], [], [], []]


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_voided_statement_is_out_of_sight_and_one_that_voids_is_not(
    store: StatementStore, *, is_late: bool
) -> None:
    voiding = record(2, "v", 1, voids=True)
    for one in (voiding, record(1, "a")) if is_late else (record(1, "a"), voiding):
        await put(store, one)
    await put(store, record(3, "x", 2, voids=True), record(4, "y", 1))
    assert await numbers(store, ascending=True) == ([2, 3, 4])
    assert set(await numbers(store, with_voided=True)) == {1, 2, 3, 4}
    assert set(await numbers(store, "a")) == {2, 3, 4}, "what refers to it stays"
    loaded = await store.load("default", [name(1), name(2)])
    assert [one is not None and one.voided for one in loaded] == [True, False], "what voids cannot be voided"
    assert await put(store, record(1, "a"), record(5)) == [VOIDED, STORED]


async def test_contents_stay_as_long_as_a_statement_has_them(store: StatementStore) -> None:
    contents = {"ab": b"\x00\xff", "cd": b"large" * 1_000}
    await store.put("default", [record(1, contents=("ab", "cd")), record(2, contents=("ab",))], contents, NOW)
    assert await store.contents("default", ["cd", "ab", "ef"]) == contents
    assert await store.contents("default", []) == {}
    await store.replace("default", name(1), record(1))
    assert await store.contents("default", contents) == {"ab": contents["ab"]}
    await store.replace("default", name(2), None)
    assert await store.contents("default", contents) == {}


async def test_the_purge_takes_what_is_old_in_every_tenant(store: StatementStore) -> None:
    for tenant in ("default", "school-1"):
        await store.put(tenant, [record(1, "a", contents=("ab",)), record(2, "b", 1)], {"ab": b"x"}, NOW)
    for tenant in ("default", "school-1"):
        await store.put(tenant, [record(3, "a", 2, contents=("ab",)), record(4, "a")], {}, NOW + SECOND)
    assert await store.purge(NOW) == 0
    assert await store.purge(NOW + SECOND) == 4
    for tenant in ("default", "school-1"):
        assert await numbers(store, tenant=tenant) == [4, 3]
        assert await numbers(store, "a", tenant=tenant) == [4, 3]
        assert await numbers(store, "b", tenant=tenant) == []
        assert await store.contents(tenant, ["ab"]) == {"ab": b"x"}
    assert await store.purge(NOW + 2 * SECOND) == 4
    assert await store.contents("default", ["ab"]) == {}


@pytest.mark.parametrize("is_late", [False, True])
async def test_so_many_are_found_through_one_that_no_call_does_more_whoever_refers_to_it(
    store: StatementStore, request: pytest.FixtureRequest, *, is_late: bool
) -> None:
    """Beyond that they are found by what they have; voiding is never missed, and a removal takes all of it out."""
    if request.node.callspec.params["store"] == "memory":
        pytest.skip("it has no index")
    width = 500
    through = MOST_THROUGH // width
    letters = [bytes([64 + n // 250, n % 250]) * 8 for n in range(width)]
    popular = msgspec.structs.replace(record(1), facets=tuple(letters))
    likes = [record(number, "l", 1) for number in range(2, 2 + 3 * through)]
    likes += [record(100, "v", 1, voids=True)]
    for group in (likes, [popular]) if is_late else ([popular], likes):
        await put(store, *group)
    asked = StatementQuery(((letters[7],),), limit=1_000, with_voided=True)
    assert len(await store.find("default", asked)) == 1 + through
    assert len(await numbers(store, "l", limit=1_000)) == 3 * through
    (loaded,) = await store.load("default", [name(1)])
    assert loaded is not None
    assert loaded.voided
    first = next(one for one in await store.find("default", asked) if one.statement_id not in (name(1), name(100)))
    assert await store.replace("default", first.statement_id, None)
    await put(store, record(200, "l", 1))
    assert len(await store.find("default", asked)) == 1 + through, "one that goes makes room"
    assert await store.replace("default", name(1), None)
    assert await store.find("default", asked) == []
    assert len(await numbers(store, "l", limit=1_000)) == 3 * through


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_chain_of_references_is_followed_so_far_and_no_further(store: StatementStore, *, is_late: bool) -> None:
    chain = [record(1, "a"), *[record(number, "l", number - 1) for number in range(2, 40)]]
    await put(store, *(reversed(chain) if is_late else chain))
    found = set(await numbers(store, "a"))
    assert set(range(1, 2 + MOST_LINKS)) <= found < set(range(1, 2 + 2 * MOST_LINKS))
    assert await store.replace("default", name(1), None)
    assert await numbers(store, "a") == []
