"""What every backend promises of courses."""

import asyncio

from mastery_engine.domain.courses.course import Course, CourseItem, CourseRules
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.rules import Weights
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.courses import StoredCourse
from tests.support.samples import CURRICULUM, NOW
from tests.support.stores import ADA, clear, erase, purge, put, stores_fixture

stores = stores_fixture()

PYTHON, SPANISH = CourseKey("default"), CourseKey("default", "course-v1:edX+Español/2026 {100%}")
OTHERS = CourseKey("school-1")
FULL = Course(
    "Python",
    "America/Los_Angeles",
    "es",
    CourseRules(Weights(0.25, 0.25, 0.25, 0.25), None, 7.0),
    CURRICULUM.modules,
    (CourseItem("q1", ("loops",), "One", "https://school.example/q1", 5, "beginner"),),
    "expert",
)


async def test_a_course_is_what_was_set_of_it(stores: Stores) -> None:
    courses = stores.courses
    assert await courses.load([PYTHON, SPANISH]) == [StoredCourse(), StoredCourse()]
    assert await courses.put(PYTHON, 0, FULL)
    assert await courses.put(SPANISH, 0, Course("Español"))
    assert await courses.load([SPANISH, OTHERS, PYTHON]) == [
        StoredCourse(1, Course("Español")),
        StoredCourse(),
        StoredCourse(1, FULL),
    ]
    assert await courses.versions([OTHERS, PYTHON, SPANISH]) == [0, 1, 1]


async def test_who_comes_second_loses(stores: Stores) -> None:
    courses = stores.courses
    outcomes = await asyncio.gather(*[courses.put(PYTHON, 0, Course(f"Title {number}")) for number in range(5)])
    assert sorted(outcomes) == [False] * 4 + [True]
    assert not await courses.put(PYTHON, 0, FULL)
    assert not await courses.put(PYTHON, 2, FULL)
    assert await courses.put(PYTHON, 1, FULL)
    assert await courses.load([PYTHON]) == [StoredCourse(2, FULL)]


async def test_a_tenants_courses_are_listed_whether_or_not_they_were_set(stores: Stores) -> None:
    courses = stores.courses
    await courses.note([SPANISH, CourseKey("default", "b"), OTHERS])
    await courses.note([CourseKey("default", "b"), PYTHON])
    await courses.put(PYTHON, 0, FULL)
    await courses.put(CourseKey("default", "a"), 0, FULL)
    await courses.note([CourseKey("default", "a")])
    assert await courses.of_tenant("default", after="", limit=10) == ["a", "b", SPANISH.course_id, "default"]
    assert await courses.of_tenant("default", after="a", limit=2) == ["b", SPANISH.course_id]
    assert await courses.of_tenant("school-1", after="", limit=10) == ["default"]
    assert [await courses.has(key) for key in (SPANISH, PYTHON, OTHERS, CourseKey("school-1", "a"))] == [True] * 3 + [
        False
    ]
    assert await courses.of_tenant("nobody", after="", limit=10) == []
    assert await courses.load([SPANISH, CourseKey("default", "a")]) == [StoredCourse(), StoredCourse(1, FULL)]
    assert await courses.put(SPANISH, 0, FULL)


async def test_asking_for_nothing(stores: Stores) -> None:
    assert await stores.courses.load([]) == []
    assert await stores.courses.versions([]) == []
    await stores.courses.note([])


async def test_no_erasure_clearing_or_purge_takes_it(stores: Stores) -> None:
    await put(stores.documents, ADA)
    await stores.courses.put(PYTHON, 0, FULL)
    for key in (ADA, StudentKey("default", "default")):
        await erase(stores, key)
    await clear(stores)
    await purge(stores, NOW + 1)
    assert await stores.courses.load([PYTHON]) == [StoredCourse(1, FULL)]
    assert await stores.courses.of_tenant("default", after="", limit=10) == ["default"]


async def test_a_course_of_twenty_thousand_items(stores: Stores) -> None:
    large = Course(
        items=tuple([CourseItem(f"item-{number:05}", ("loops", "lists"), "T" * 60) for number in range(20_000)])
    )
    assert await stores.courses.put(PYTHON, 0, large)
    assert (await stores.courses.load([PYTHON]))[0].course == large
