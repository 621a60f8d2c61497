"""What every store promises of cohorts: one suite, here over memory and SQLite, elsewhere over real Redis."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mastery_engine.domain.cohorts.cohort import NO_COHORT, Cohort, Due
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.documents import Change, Join, Roster, Store
from tests.ports.test_store import ADA, BOB, EVE, STORES, Opener, put, student
from tests.support.samples import DAY, NOW, TODAY

CLASS = Cohort("Größe 1", ("ada", "bob"), ("eve",), (Due(TODAY, "loops", "exam", 60), Due(TODAY + 1)))


@pytest.fixture(params=STORES, ids=lambda opener: opener.__name__)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opener: Opener = request.param
    async with opener(tmp_path, request) as opened:
        yield opened


async def roster(store: Store, cohort_id: str = "py", tenant: str = "default", since: int = 0) -> Roster:
    return await store.cohort(tenant, cohort_id, since=since)


async def test_versions_are_those_of_the_documents(store: Store) -> None:
    assert await store.versions([]) == []
    assert await store.versions([ADA, BOB]) == [0, 0]
    await put(store, ADA)
    await put(store, ADA, 1, number=1)
    await put(store, EVE)
    assert await store.versions([EVE, BOB, ADA, EVE]) == [1, 0, 2, 1]
    await store.commit([Change(EVE, 1, None)])
    assert await store.versions([EVE]) == [0]


async def test_a_cohort_that_nobody_named_is_empty(store: Store) -> None:
    found = await roster(store)
    assert (found, found.is_known, found.members) == (Roster(0, NO_COHORT, frozenset()), False, frozenset())
    assert await store.cohorts_of(ADA) == frozenset()


async def test_an_admins_word_comes_back_as_it_was(store: Store) -> None:
    assert await store.put_cohort("default", "py", 0, CLASS)
    assert await roster(store) == Roster(1, CLASS, frozenset())
    assert await store.put_cohort("default", "py", 1, Cohort("Two", ("eve",)))
    assert await roster(store) == Roster(2, Cohort("Two", ("eve",)), frozenset())


async def test_who_did_not_read_the_last_word_does_not_write(store: Store) -> None:
    assert not await store.put_cohort("default", "py", 1, CLASS)
    assert await store.put_cohort("default", "py", 0, CLASS)
    for stale in (0, 2):
        assert not await store.put_cohort("default", "py", stale, Cohort("late", ("eve",)))
    assert (await roster(store)).cohort == CLASS


async def test_of_many_words_at_once_each_is_heard_in_turn(store: Store) -> None:
    async def add(name: str) -> None:
        while True:
            before = await roster(store)
            after = Cohort("class", tuple(sorted({*before.cohort.put, name})))
            if await store.put_cohort("default", "py", before.version, after):
                return
            await asyncio.sleep(0)

    names = [f"s{n}" for n in range(8)]
    await asyncio.gather(*map(add, names))
    assert (await roster(store)).cohort.put == tuple(names)


async def test_a_students_cohorts_by_an_admins_word(store: Store) -> None:
    await store.put_cohort("default", "py", 0, CLASS)
    await store.put_cohort("default", "go/ß}", 0, Cohort("Go", ("ada",)))
    await store.put_cohort("school-1", "rust", 0, Cohort("Rust", ("ada",)))
    assert await store.cohorts_of(ADA) == {"py", "go/ß}"}
    assert await store.cohorts_of(StudentKey("school-1", "ada")) == {"rust"}
    assert await store.cohorts_of(EVE) == frozenset()
    await store.put_cohort("default", "py", 1, Cohort("One", ("eve",)))
    assert await store.cohorts_of(ADA) == {"go/ß}"}
    assert await store.cohorts_of(EVE) == {"py"}


async def test_who_joined_is_in_until_nothing_of_theirs_counts(store: Store) -> None:
    await store.join([])
    await store.join([Join(ADA, "py", TODAY - 9), Join(BOB, "py", TODAY), Join(ADA, "go", TODAY)])
    await store.join([Join(BOB, "py", TODAY - 5)])  # read again: no step back
    assert (await roster(store)).joined == {"ada", "bob"}
    assert (await roster(store, since=TODAY - 8)).joined == {"bob"}
    assert (await roster(store, "go")).joined == {"ada"}
    assert (await roster(store, tenant="school-1")).joined == frozenset()
    assert (await roster(store)).is_known
    await store.join([Join(ADA, "py", TODAY)])
    assert (await roster(store, since=TODAY)).joined == {"ada", "bob"}


async def test_who_leaves_is_out_of_those_cohorts_alone(store: Store) -> None:
    await store.join([Join(ADA, "py", TODAY), Join(ADA, "go", TODAY), Join(BOB, "py", TODAY)])
    await store.leave(ADA, [])
    await store.leave(ADA, ["py", "nowhere"])
    assert (await roster(store)).joined == {"bob"}
    assert (await roster(store, "go")).joined == {"ada"}


async def test_ids_of_any_letters_are_apart(store: Store) -> None:
    names = ["py", "PY", "py:1", "a b", "{py}", "}", "%7D", "%", "größe", "ループ", "*", "in", "x" * 100, "'", "\x00"]
    for place, name in enumerate(names):
        await store.join([Join(StudentKey("default", f"s{place}"), name, TODAY)])
        assert await store.put_cohort("default", name, 0, Cohort(name))
    for place, name in enumerate(names):
        assert await roster(store, name) == Roster(1, Cohort(name), frozenset({f"s{place}"}))


async def test_clearing_takes_who_joined_and_leaves_the_admins_word(store: Store) -> None:
    await store.join([Join(EVE, "py", TODAY)])
    await store.put_cohort("default", "py", 0, CLASS)
    await store.commit([Change(ADA, 0, student())])
    await store.clear()
    assert await roster(store) == Roster(1, CLASS, frozenset())
    assert await store.cohorts_of(ADA) == {"py"}
    assert await store.versions([ADA]) == [0]


async def test_a_purge_takes_old_joins(store: Store) -> None:
    await store.join([Join(ADA, "py", TODAY - 91), Join(BOB, "py", TODAY)])
    await store.purge(NOW - 90 * DAY)
    assert (await roster(store, since=TODAY - 90)).joined == {"bob"}


SUITE = [check for name, check in list(globals().items()) if name.startswith("test_")]
