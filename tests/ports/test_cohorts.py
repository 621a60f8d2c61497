"""What every backend promises of cohorts."""

import asyncio

import pytest

from mastery_engine.domain.cohorts.cohort import BEFORE_COURSES, NO_COHORT, Cohort, Due, Naming, Teacher
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.cohorts import Join, Roster
from tests.support.samples import NOW, TODAY
from tests.support.stores import ADA, BOB, EVE, RETENTION_DAYS, calendars_of, roster, stores_fixture

stores = stores_fixture()

EXAM, ESSAY = Due(TODAY, "loops", "exam", 60), Due(TODAY + 1)
CLASS = Cohort("Größe 1", ("ada", "bob"), ("eve",), (EXAM, ESSAY))
NAMES = [
    "py",
    "PY",
    "py:1",
    "a b",
    "{py}",
    "}",
    "%7D",
    "%",
    "größe",
    "ループ",
    "*",
    "in",
    "x" * 100,
    "'",
    "\x00",
    "a\x00b",
]
FLOOR = TODAY - RETENTION_DAYS + 1


async def due(stores: Stores, key: StudentKey | DocumentKey, *named: str, since: int = FLOOR) -> dict[str, list[Due]]:
    """The calendars that count for a student whose document names some cohorts."""
    calendars = await calendars_of(stores.cohorts, key, named, since=since)
    return {cohort_id: list(calendar) for cohort_id, calendar in calendars.items()}


async def test_a_cohort_that_nobody_named_is_empty(stores: Stores) -> None:
    found = await roster(stores.cohorts)
    assert (found, found.is_known, found.members) == (Roster(0, NO_COHORT, frozenset()), False, frozenset())
    assert await stores.cohorts.put_into(ADA) == frozenset()
    assert await due(stores, ADA, "py") == {}


async def test_an_admins_word_comes_back_as_it_was(stores: Stores) -> None:
    assert await stores.cohorts.put("default", "py", 0, CLASS)
    assert await roster(stores.cohorts) == Roster(1, CLASS, frozenset())
    assert await stores.cohorts.put("default", "py", 1, Cohort("Two", ("eve",)))
    assert await roster(stores.cohorts) == Roster(2, Cohort("Two", ("eve",)), frozenset())


async def test_who_did_not_read_the_last_word_does_not_write(stores: Stores) -> None:
    assert not await stores.cohorts.put("default", "py", 1, CLASS)
    assert await stores.cohorts.put("default", "py", 0, CLASS)
    for stale in (0, 2):
        assert not await stores.cohorts.put("default", "py", stale, Cohort("late", ("eve",), (), (ESSAY,)))
    assert (await roster(stores.cohorts)).cohort == CLASS
    assert [await due(stores, key) for key in (ADA, EVE)] == [{"py": [EXAM, ESSAY]}, {}]


async def test_of_many_words_at_once_each_is_heard_in_turn(stores: Stores) -> None:
    async def add(name: str) -> None:
        while True:
            before = await roster(stores.cohorts)
            after = Cohort("class", tuple(sorted({*before.cohort.put, name})), (), (EXAM,))
            if await stores.cohorts.put("default", "py", before.version, after):
                return
            await asyncio.sleep(0)

    names = [f"s{number}" for number in range(8)]
    await asyncio.gather(*map(add, names))
    assert (await roster(stores.cohorts)).cohort.put == tuple(names)
    for name in names:
        assert await due(stores, StudentKey("default", name)) == {"py": [EXAM]}


async def test_a_students_cohorts_by_an_admins_word(stores: Stores) -> None:
    cohorts = stores.cohorts
    await cohorts.put("default", "py", 0, CLASS)
    await cohorts.put("default", "go/ß}", 0, Cohort("Go", ("ada",)))
    await cohorts.put("school-1", "rust", 0, Cohort("Rust", ("ada",)))
    assert await cohorts.put_into(ADA) == {"py", "go/ß}"}
    assert await cohorts.put_into(StudentKey("school-1", "ada")) == {"rust"}
    assert await cohorts.put_into(EVE) == frozenset()
    await cohorts.put("default", "py", 1, Cohort("One", ("eve",)))
    assert await cohorts.put_into(ADA) == {"go/ß}"}
    assert await cohorts.put_into(EVE) == {"py"}


async def test_a_teachers_cohorts_by_what_a_token_calls_them(stores: Stores) -> None:
    cohorts = stores.cohorts
    lovelace, kay = Teacher("x-1", ("LTI|1}", "ada@school", "x-1")), Teacher("x-2", ("kay",))
    taught = Cohort("Class", ("bob",), (), (EXAM,), (lovelace, kay), "crs-1")
    assert await cohorts.put("default", "py", 0, taught)
    assert await cohorts.put("default", "go/ß}", 0, Cohort("Go", teachers=(lovelace,)))
    assert await cohorts.put("school-1", "py", 0, Cohort("Other", teachers=(kay,)))
    assert (await roster(cohorts)).cohort == taught
    for name in lovelace.known_as:
        assert await cohorts.taught_by("default", name) == {"py", "go/ß}"}
    assert await cohorts.taught_by("default", "kay") == {"py"}
    assert await cohorts.taught_by("school-1", "kay") == {"py"}
    for name in ("bob", "x-2", "", "ada@school2", "*"):
        assert await cohorts.taught_by("default", name) == frozenset()
    assert await cohorts.put("default", "py", 1, Cohort("Class", teachers=(Teacher("x-1", ("new name",)),)))
    assert await cohorts.taught_by("default", "ada@school") == {"go/ß}"}
    assert await cohorts.taught_by("default", "new name") == {"py"}
    assert await cohorts.taught_by("default", "kay") == frozenset()


async def test_no_teacher_of_many_words_at_once_is_missing(stores: Stores) -> None:
    async def add(name: str) -> None:
        while True:
            before = await roster(stores.cohorts)
            after = Cohort("class", teachers=tuple(sorted({*before.cohort.teachers, Teacher(name, (name, "all"))})))
            if await stores.cohorts.put("default", "py", before.version, after):
                return
            await asyncio.sleep(0)

    names = [f"t{number}" for number in range(8)]
    await asyncio.gather(*map(add, names))
    for name in (*names, "all"):
        assert await stores.cohorts.taught_by("default", name) == {"py"}


async def test_who_joined_is_in_until_nothing_of_theirs_counts(stores: Stores) -> None:
    cohorts = stores.cohorts
    await cohorts.join([])
    await cohorts.join([Join(ADA, "py", TODAY - 9), Join(BOB, "py", TODAY), Join(ADA, "go", TODAY)])
    await cohorts.join([Join(BOB, "py", TODAY - 5)])  # read again: no step back
    assert (await roster(cohorts)).joined == {"ada", "bob"}
    assert (await roster(cohorts, since=TODAY - 8)).joined == {"bob"}
    assert (await roster(cohorts, "go")).joined == {"ada"}
    assert (await roster(cohorts, tenant="school-1")).joined == frozenset()
    assert (await roster(cohorts)).is_known
    await cohorts.join([Join(ADA, "py", TODAY), Join(ADA, "py", TODAY - 3)])
    assert (await roster(cohorts, since=TODAY)).joined == {"ada", "bob"}


async def test_a_full_cohort_refuses_who_would_join_and_keeps_who_is_in(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("memory.cohorts", "sqlite.cohorts", "redis.cohorts", "dapr.joins"):
        monkeypatch.setattr(f"mastery_engine.backends.{module}.MOST_MEMBERS", 3)
    cohorts = stores.cohorts
    first = [Join(StudentKey("default", f"s{number}"), "py", TODAY - 2) for number in range(2)]
    assert list(await cohorts.join(first)) == []
    more = [Join(StudentKey("default", f"s{number}"), "py", TODAY - 1) for number in (4, 1, 5, 4, 5, 0)]
    others = [Join(ADA, "go", TODAY), Join(StudentKey("school-1", "s5"), "py", TODAY)]
    refused = await cohorts.join([*more, *others])
    assert list(refused) == [more[2], more[4]], "there was room for one more"
    assert (await roster(cohorts, since=TODAY - 1)).joined == {"s0", "s1", "s4"}
    assert (await roster(cohorts, "go")).joined == {"ada"}
    assert (await roster(cohorts, tenant="school-1")).joined == {"s5"}
    await cohorts.put("default", "py", 0, Cohort("", (), (), (EXAM,)))
    assert await due(stores, StudentKey("default", "s5"), "py") == {}
    assert await due(stores, StudentKey("default", "s4"), "py") == {"py": [EXAM]}
    assert list(await cohorts.join([Join(EVE, "py", TODAY)])) == [Join(EVE, "py", TODAY)]
    await cohorts.leave(StudentKey("default", "s0"), ["py"])
    assert list(await cohorts.join([Join(EVE, "py", TODAY)])) == []
    assert (await roster(cohorts)).joined == {"eve", "s1", "s4"}


async def test_who_leaves_is_out_of_those_cohorts_alone(stores: Stores) -> None:
    cohorts = stores.cohorts
    await cohorts.join([Join(ADA, "py", TODAY), Join(ADA, "go", TODAY), Join(BOB, "py", TODAY)])
    await cohorts.leave(ADA, [])
    await cohorts.leave(ADA, ["py", "nowhere"])
    assert (await roster(cohorts)).joined == {"bob"}
    assert (await roster(cohorts, "go")).joined == {"ada"}


async def test_ids_of_any_letters_are_apart(stores: Stores) -> None:
    for place, name in enumerate(NAMES):
        await stores.cohorts.join([Join(StudentKey("default", f"s{place}"), name, TODAY)])
        assert await stores.cohorts.put("default", name, 0, Cohort(name, ("ada",), (), (Due(TODAY + place),)))
    for place, name in enumerate(NAMES):
        word = Cohort(name, ("ada",), (), (Due(TODAY + place),))
        assert await roster(stores.cohorts, name) == Roster(1, word, frozenset({f"s{place}"}), BEFORE_COURSES)
        # Each joined one of them, whatever others they name.
        joined = await due(stores, StudentKey("default", f"s{place}"), *NAMES)
        assert joined == {name: [Due(TODAY + place)]}
    everywhere = {name: [Due(TODAY + place)] for place, name in enumerate(NAMES)}
    assert await due(stores, ADA) == everywhere
    assert await due(stores, ADA, *NAMES[:8]) == everywhere


async def test_clearing_takes_who_joined_and_leaves_the_admins_word(stores: Stores) -> None:
    await stores.cohorts.join([Join(EVE, "py", TODAY), Join(EVE, "go", TODAY)])
    await stores.cohorts.put("default", "py", 0, CLASS)
    await stores.cohorts.clear_joins()
    await stores.cohorts.clear_joins()
    found = await roster(stores.cohorts)
    assert (found.version, found.cohort, found.joined) == (1, CLASS, frozenset())
    assert not (await roster(stores.cohorts, "go")).is_known
    assert await stores.cohorts.put_into(ADA) == {"py"}


async def test_a_purge_takes_old_joins(stores: Stores) -> None:
    cohorts = stores.cohorts
    await cohorts.join([Join(ADA, "py", TODAY - 91), Join(BOB, "py", TODAY - 90), Join(EVE, "py", TODAY)])
    await cohorts.join([Join(ADA, "go", TODAY - 91)])
    await cohorts.put("default", "go", 0, Cohort("Go", ("bob",)))
    await cohorts.purge(TODAY - 90)
    assert (await roster(cohorts)).joined == {"bob", "eve"}
    go = await roster(cohorts, "go")
    assert (go.version, go.cohort, go.joined) == (1, Cohort("Go", ("bob",)), frozenset())


# ---- courses


def joining(key: StudentKey, cohort_id: str, received: int, course_id: str, day: int = TODAY) -> Join:
    return Join(key, cohort_id, day, Naming(received, course_id))


async def test_a_cohort_is_of_the_course_of_the_first_event_that_named_it_in_whatever_order_they_come(
    stores: Stores,
) -> None:
    cohorts = stores.cohorts
    assert (await roster(cohorts)).course_id == "default"
    await cohorts.join([joining(ADA, "py", NOW, "physics/ß 1"), joining(BOB, "py", NOW + 9, "art")])
    assert (await roster(cohorts)).course_id == "physics/ß 1"
    await cohorts.join([joining(BOB, "py", NOW + 1, "art", TODAY + 1), joining(BOB, "go", NOW, "art")])
    assert (await roster(cohorts)).first == Naming(NOW, "physics/ß 1")
    await cohorts.join([joining(EVE, "py", NOW + 7, "music"), joining(EVE, "py", NOW - 1, "music", TODAY - 1)])
    assert (await roster(cohorts)).first == Naming(NOW - 1, "music")
    await cohorts.join([joining(EVE, "py", NOW - 1, "default")])
    assert (await roster(cohorts)).course_id == "default", "of two at once the one with the lesser id"
    assert (await roster(cohorts, "go")).course_id == "art"
    assert (await roster(cohorts, "go", tenant="school-1")).course_id == "default"
    assert await cohorts.put("default", "go", 0, Cohort("Go", course_id="drama"))
    assert (await roster(cohorts, "go")).course_id == "drama", "an admin has the last word"
    await cohorts.clear_joins()
    await cohorts.join([joining(BOB, "py", NOW + 9, "art")])
    assert (await roster(cohorts)).joined == {"bob"}


async def test_a_calendar_counts_in_the_course_of_its_cohort_alone(stores: Stores) -> None:
    cohorts = stores.cohorts
    here, there = DocumentKey(*ADA), DocumentKey(*ADA, "physics/ß 1")
    named = ("by-events", "said", "put-and-named", "unsaid")
    for cohort_id in ("by-events", "said", "put-and-named"):
        await cohorts.join([joining(ADA, cohort_id, NOW, there.course_id)])
    await cohorts.put("default", "by-events", 0, Cohort("", (), (), (Due(TODAY + 1),)))
    await cohorts.put("default", "said", 0, Cohort("", (), (), (Due(TODAY + 2),), course_id="default"))
    await cohorts.put("default", "put-and-named", 0, Cohort("", ("ada",), (), (Due(TODAY + 3),)))
    await cohorts.put("default", "unsaid", 0, Cohort("", ("ada",), (), (Due(TODAY + 4),)))
    await cohorts.put("default", "put-there", 0, Cohort("", ("ada",), (), (Due(TODAY + 5),), course_id=there.course_id))
    expected = {
        here: {"said": [Due(TODAY + 2)], "unsaid": [Due(TODAY + 4)]},
        there: {"by-events": [Due(TODAY + 1)], "put-and-named": [Due(TODAY + 3)], "put-there": [Due(TODAY + 5)]},
        DocumentKey(*ADA, "elsewhere"): {},
    }
    for key, calendars in expected.items():
        assert await due(stores, key, *named) == calendars
    together = await cohorts.calendars(dict.fromkeys(expected, named), since=FLOOR)
    assert [sorted(found) for found in together] == [sorted(calendars) for calendars in expected.values()]
    await cohorts.put("default", "put-there", 1, Cohort("", ("ada",), (), (Due(TODAY + 6),), course_id="elsewhere"))
    assert "put-there" not in await due(stores, there, *named)
    assert await due(stores, DocumentKey(*ADA, "elsewhere"), *named) == {"put-there": [Due(TODAY + 6)]}
    await cohorts.put("default", "put-there", 2, Cohort("", ("ada",), (), (Due(TODAY + 6),)))
    assert (await due(stores, here, *named)).keys() == {"said", "unsaid", "put-there"}


# ---- calendars


async def test_a_calendar_is_that_of_the_cohorts_one_is_in(stores: Stores) -> None:
    await stores.cohorts.put("default", "py", 0, CLASS)
    await stores.cohorts.put("default", "go", 0, Cohort("Go", ("ada",), (), (ESSAY,)))
    await stores.cohorts.put("default", "no-calendar", 0, Cohort("None", ("ada",)))
    await stores.cohorts.put("school-1", "py", 0, Cohort("Elsewhere", ("ada",), (), (Due(TODAY + 9),)))
    await stores.cohorts.join([Join(EVE, "go", TODAY), Join(EVE, "only-by-events", TODAY)])
    assert await due(stores, ADA) == {"py": [EXAM, ESSAY], "go": [ESSAY]}
    assert await due(stores, ADA, "py", "nowhere", "no-calendar") == {"py": [EXAM, ESSAY], "go": [ESSAY]}
    assert await due(stores, BOB, "go") == {"py": [EXAM, ESSAY]}, "named, but never joined"
    assert await due(stores, EVE, "go", "py", "only-by-events") == {"go": [ESSAY]}
    assert await due(stores, StudentKey("school-1", "ada"), "py") == {"py": [Due(TODAY + 9)]}
    assert await due(stores, StudentKey("default", "nobody"), "py", "go") == {}


async def test_who_joined_has_its_calendar_for_as_long_as_their_events_count(stores: Stores) -> None:
    await stores.cohorts.put("default", "py", 0, Cohort("Class", (), (), (EXAM,)))
    await stores.cohorts.join([Join(ADA, "py", TODAY - 9), Join(BOB, "py", TODAY)])
    assert await due(stores, ADA, "py", since=TODAY - 9) == {"py": [EXAM]}
    assert await due(stores, ADA, "py", since=TODAY - 8) == {}
    assert await due(stores, BOB, "py", since=TODAY) == {"py": [EXAM]}
    await stores.cohorts.join([Join(ADA, "py", TODAY)])
    assert await due(stores, ADA, "py", since=TODAY) == {"py": [EXAM]}
    await stores.cohorts.leave(ADA, ["py"])
    assert await due(stores, ADA, "py") == {}
    await stores.cohorts.purge(TODAY + 1)
    assert await due(stores, BOB, "py") == {}


async def test_whom_an_admin_took_out_has_no_calendar_until_put_in_again(stores: Stores) -> None:
    cohorts = stores.cohorts
    await cohorts.join([Join(ADA, "py", TODAY), Join(EVE, "py", TODAY)])
    await cohorts.put("default", "py", 0, CLASS)
    assert await due(stores, EVE, "py") == {}
    await cohorts.put("default", "py", 1, Cohort("Two", ("bob", "eve"), ("ada",), (EXAM,)))
    assert await due(stores, ADA, "py") == {}, "joined, and taken out"
    assert [await due(stores, key, "py") for key in (BOB, EVE)] == [{"py": [EXAM]}] * 2
    await cohorts.put("default", "py", 2, Cohort("Three", (), (), (ESSAY,)))  # no word on anybody: events decide
    assert [await due(stores, key, "py") for key in (ADA, BOB, EVE)] == [{"py": [ESSAY]}, {}, {"py": [ESSAY]}]
    await cohorts.put("default", "py", 3, Cohort("Four", ("ada",), (), ()))
    assert await due(stores, ADA, "py") == {}, "no calendar is left"
    await cohorts.put("default", "py", 4, Cohort("Both", ("ada", "bob"), ("ada",), (EXAM,)))
    assert [await due(stores, key, "py") for key in (ADA, BOB)] == [{}, {"py": [EXAM]}], "out wins"


async def test_many_students_are_asked_of_at_once_in_the_order_of_the_question(stores: Stores) -> None:
    names = [f"s{number}" for number in range(45)]
    await stores.cohorts.put("default", "py", 0, Cohort("Class", tuple(names[::2]), (names[1],), (EXAM,)))
    await stores.cohorts.put("school-1", "py", 0, Cohort("Class", ("s3",), (), (ESSAY,)))
    await stores.cohorts.join([Join(StudentKey("default", name), "go", TODAY) for name in names[::3]])
    await stores.cohorts.put("default", "go", 0, Cohort("Go", (), (), (ESSAY,)))
    asked = {DocumentKey("default", name): ["go", "nowhere"] for name in reversed(names)}
    asked[DocumentKey("school-1", "s3")] = ["go"]
    asked[DocumentKey("school-2", "s4")] = []
    together = await stores.cohorts.calendars(asked, since=FLOOR)
    assert together == [await calendars_of(stores.cohorts, key, own, since=FLOOR) for key, own in asked.items()]
    assert [len(found) for found in together[-8:]] == [0, 1, 1, 1, 0, 2, 1, 0]
    assert list(together[-2].values()) == [(ESSAY,)]
    assert await stores.cohorts.calendars({}, since=FLOOR) == []


async def test_calendars_agree_with_the_rosters_whatever_was_said_and_done(stores: Stores) -> None:
    """Words and events in many orders, against membership as ``Cohort.members`` says it."""
    names = ["s0", "s1", "s2"]
    for turn in range(24):
        name = names[turn % 3]
        before = await roster(stores.cohorts)
        cohort = before.cohort
        if turn % 4 == 0:
            put = {*cohort.put} ^ {names[turn % 5 % 3]}
            out = {*cohort.out} ^ {names[turn // 2 % 3]}
            calendar = (Due(TODAY + turn),) if turn % 8 else (*cohort.calendar, Due(TODAY + 90))
            cohort = Cohort(f"turn {turn}", tuple(sorted(put)), tuple(sorted(out)), calendar)
            assert await stores.cohorts.put("default", "py", before.version, cohort)
        elif turn % 4 == 3:
            await stores.cohorts.leave(StudentKey("default", name), ["py"])
        else:
            await stores.cohorts.join([Join(StudentKey("default", name), "py", TODAY - turn)])
        for since in (TODAY - 30, TODAY - turn + 1):
            now = await roster(stores.cohorts, since=since)
            for student_id in names:
                expected = (
                    {"py": list(now.cohort.calendar)} if student_id in now.members and now.cohort.calendar else {}
                )
                assert await due(stores, StudentKey("default", student_id), "py", since=since) == expected
