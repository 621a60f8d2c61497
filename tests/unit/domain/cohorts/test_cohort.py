"""A cohort: who is in it, and the place of a value among those of the members."""

from itertools import permutations
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastery_engine.domain.cohorts.cohort import (
    BEFORE_COURSES,
    COHORTS_KEPT,
    MOST_MEMBERS,
    NO_COHORT,
    Cohort,
    Due,
    Naming,
    Teacher,
    course_of_cohort,
    enrolled,
    ranking,
    size_range,
)
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY
from mastery_engine.domain.transition import apply
from tests.support.samples import NOW, TODAY, logged, quiz

names = st.sampled_from(["ada", "bob", "eve", "kim"])
Names: TypeAlias = frozenset[str]
groups = st.frozensets(names)


# ---- who is in it


@given(st.lists(st.tuples(groups, groups), max_size=6), groups)
def test_an_admins_word_stands_against_events(
    turns: list[tuple[frozenset[str], frozenset[str]]], late: frozenset[str]
) -> None:
    """Whoever joined before the word, and was left out of it, stays out, however often events name them again."""
    cohort, joined, out = NO_COHORT, frozenset[str](), frozenset[str]()
    for joins, wanted in turns:
        joined |= joins
        was = cohort.members(joined)
        assert not was & out
        cohort = cohort.with_members("class", wanted, None, joined)
        assert cohort.members(joined) == wanted
        out = (out | was) - wanted
    assert cohort.members(joined | late) == frozenset(cohort.put) | ((joined | late) - out)


def test_who_was_taken_out_is_in_again_once_put_in() -> None:
    first = NO_COHORT.with_members("class", ["ada", "bob"], None, [])
    second = first.with_members("class", ["ada"], None, ["bob"])
    assert second.members(["bob", "eve"]) == {"ada", "eve"}
    assert second.with_members("class", ["ada", "bob"], None, ["bob"]).members(["bob"]) == {"ada", "bob"}


def test_a_student_stands_in_the_place_of_an_id_that_was_linked_to_them() -> None:
    teachers = (Teacher("kim", ("k",)), Teacher("x-1", ("one",)))
    cohort = Cohort("class", ("bob", "x-1"), ("ada", "x-2"), (), teachers, "rust")
    linked = cohort.with_linked("x-1", "ada", ())
    assert linked == Cohort(
        "class", ("ada", "bob"), ("x-2",), (), (Teacher("ada", ("one",)), Teacher("kim", ("k",))), "rust"
    )
    assert linked.with_linked("x-1", "ada", ()) == linked
    assert linked.with_linked("x-2", "eve", ()).out == ("eve",)
    assert linked.with_linked("x-2", "eve", ("eve",)).out == (), "in by events of their own"
    assert linked.with_linked("x-2", "ada", ()).out == (), "put in"
    assert cohort.with_linked("x-1", "kim", ()).teachers == (Teacher("kim", ("k", "one")),)
    assert cohort.with_linked("x-3", "zoe", ()) == cohort


def test_a_cohort_has_no_more_than_so_many_members() -> None:
    joined = [f"j{number:05}" for number in range(MOST_MEMBERS)]
    assert Cohort().members(joined) == set(joined)
    members = Cohort("", ("zoe", "zed"), ("j00000", "zed")).members(joined)
    assert members == {"zoe", *joined[1:]}
    members = Cohort("", ("zoe", "zed")).members(joined)
    assert members == {"zoe", "zed", *joined[:-2]}, "who was put in comes first"


def test_a_calendar_stays_where_none_is_given_and_goes_by_day() -> None:
    due = [Due(TODAY + 2), Due(TODAY, "loops"), Due(TODAY)]
    cohort = NO_COHORT.with_members("class", [], due, [])
    assert cohort.calendar == (Due(TODAY), Due(TODAY, "loops"), Due(TODAY + 2))
    assert cohort.with_members("class", ["ada"], None, []).calendar == cohort.calendar
    assert cohort.with_members("class", ["ada"], [], []).calendar == ()


def test_nothing_is_left_of_who_is_forgotten() -> None:
    cohort = Cohort("class", ("ada", "bob"), ("eve",)).without("bob").without("eve")
    assert (cohort.put, cohort.out) == (("ada",), ())
    taught = Cohort("class", teachers=(Teacher("ada", ("a@b", "ada")), Teacher("bob", ("bob", "c"))))
    assert taught.taught_by == {"a@b", "ada", "bob", "c"}
    assert taught.without("ada").taught_by == {"bob", "c"}


def test_who_teaches_and_the_course_stay_whoever_is_put_in() -> None:
    cohort = Cohort("class", (), (), (), (Teacher("ada", ("ada",)),), "physics")
    after = cohort.with_members("Class", ["bob"], None, [])
    assert (after.teachers, after.course_id, after.put) == (cohort.teachers, "physics", ("bob",))


def test_a_document_names_the_last_cohorts_of_its_events() -> None:
    events = [quiz(1, 2, f"e{n}", metadata={"cohort_id": f"c{n}"}) for n in range(COHORTS_KEPT + 2)]
    assert apply(NOBODY, logged(events), NOW, Rules()).student.cohorts == tuple(
        f"c{n}" for n in range(2, COHORTS_KEPT + 2)
    )
    assert enrolled(("a", "b"), quiz(1, 2, metadata={"cohort_id": "a"})) == ("a", "b")
    assert enrolled(("a",), quiz(1, 2, metadata={"cohort_id": None, "room": 3})) == ("a",)


# ---- where a member stands


@given(st.lists(st.integers(0, 3).map(lambda n: n / 4), min_size=1, max_size=9))
def test_a_place_is_what_counting_says(values: list[float]) -> None:
    for number, mine in enumerate(values):
        others = values[:number] + values[number + 1 :]
        found = ranking(mine, values)
        below, above = sum(one < mine for one in others), sum(one > mine for one in others)
        equal = len(others) - below - above
        assert found.rank == 1 + above
        assert found.size == len(values)
        assert found.average == pytest.approx(sum(values) / len(values))
        assert found.percentile == (pytest.approx(100 * (below + equal / 2) / len(others)) if others else None)


def test_a_size_is_told_as_a_range() -> None:
    ranges = {size_range(size) for size in range(1, 10_001)}
    assert sorted(ranges) == [
        *[(1, 1), (2, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, 199), (200, 499), (500, 999)],
        *[(1_000, 1_999), (2_000, 4_999), (5_000, 10_000)],
    ]
    assert all(first <= size <= last for size in range(1, 10_001) for first, last in [size_range(size)])


def test_places_do_not_depend_on_the_order() -> None:
    for values in permutations([0.1, 0.5, 0.5, 0.9]):
        assert [ranking(value, values).percentile for value in (0.1, 0.5, 0.9)] == [0, 50, 100]


def test_a_teacher_is_known_by_other_names_and_always_by_their_own_id() -> None:
    kay = Teacher("x-2", ("kay", "x-2"))
    before = Cohort("Class", teachers=(Teacher("x-1", ("ada@school", "t1", "x-1")), kay))
    after = before.with_teacher("x-1", added=["lti-7"], dropped=["ada@school", "x-1", "kay"])
    assert after.teachers == (Teacher("x-1", ("lti-7", "t1", "x-1")), kay)
    assert before.with_teacher("nobody", added=["lti-7"], dropped=["kay"]) == before


def test_a_cohort_is_of_the_course_that_an_admin_said_else_of_the_first_event_that_named_it() -> None:
    first = min(Naming(7, "art"), Naming(5, "physics"), Naming(5, "music"))
    assert course_of_cohort(Cohort(course_id="drama"), first) == "drama"
    assert course_of_cohort(Cohort(), first) == "music"
    assert course_of_cohort(Cohort(), None) == "default"
    assert min(first, BEFORE_COURSES).course_id == "default"
