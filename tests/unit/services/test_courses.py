"""The courses that a process serves by: cached, taken up from others, and what folds and ingest make of them."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory.courses import MemoryCourses
from mastery_engine.domain.courses.course import Course, CourseChange, CourseItem
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.evidence.active_days import ActiveDays
from mastery_engine.domain.moments import DAY, MINUTE, SECOND
from mastery_engine.domain.student import DocumentKey, Student
from mastery_engine.engine import Engine
from mastery_engine.errors import Conflict, NotFound, Unavailable
from mastery_engine.ports.courses import StoredCourse
from mastery_engine.services.courses import CACHED_FOR, COURSE_SIZE, LARGEST_CACHE
from tests.support.composed import composed
from tests.support.samples import NOW, Clock, answered, envelope, quiz, raw
from tests.support.samples import logged as in_log

HOUR = 60 * MINUTE
ADMIN, PHYSICS = Caller("tests", "admin"), CourseKey("default", "physics")


class MovableCourses(MemoryCourses):
    """A store that counts what is read of it, and may be away, or always changed by somebody else first."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[CourseKey] = []
        self.noted: list[CourseKey] = []
        self.is_away = self.is_lost = False

    async def load(self, courses: Sequence[CourseKey]) -> list[StoredCourse]:
        if self.is_away:
            raise Unavailable("The store is away.")
        self.loads += courses
        return await super().load(courses)

    async def versions(self, courses: Sequence[CourseKey]) -> list[int]:
        if self.is_away:
            raise Unavailable("The store is away.")
        return [self._courses.get(key, StoredCourse()).version for key in courses]

    async def put(self, key: CourseKey, version: int, course: Course) -> bool:
        return not self.is_lost and await super().put(key, version, course)

    async def note(self, courses: Sequence[CourseKey]) -> None:
        self.noted += courses
        await super().note(courses)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MovableCourses:
    return MovableCourses()


@pytest.fixture
def engine(store: MovableCourses, clock: Clock) -> Engine:
    from mastery_engine.backends.memory.stores import open_stores

    return composed(msgspec.structs.replace(open_stores(clock), courses=store), clock=clock)


def change(**fields: Any) -> CourseChange:
    return msgspec.convert(fields, CourseChange)


async def student(engine: Engine, course_id: str) -> Student:
    (document,) = await engine.reader.load([DocumentKey("default", "ada", course_id)])
    assert document is not None
    return document.student


async def test_a_course_is_read_again_only_where_it_has_changed(
    engine: Engine, store: MovableCourses, clock: Clock
) -> None:
    first = await engine.courses.of(PHYSICS, clock())
    assert first.title == "physics"
    await store.put(PHYSICS, 0, Course("Physics"))
    assert await engine.courses.of(PHYSICS, clock() + CACHED_FOR - 1) is first
    assert (await engine.courses.of(PHYSICS, clock() + CACHED_FOR)).title == "Physics"
    assert (await engine.courses.of(PHYSICS, clock() + MINUTE)).title == "Physics"
    assert store.loads == [PHYSICS, PHYSICS]


async def test_a_change_is_taken_up_within_5_seconds_everywhere() -> None:
    assert CACHED_FOR <= 4 * SECOND


async def test_what_others_changed_is_known_before_a_batch_is_judged(
    engine: Engine, store: MovableCourses, clock: Clock
) -> None:
    """Ingest took the event by the rules as they are: a worker that read the course an hour ago may not bury it."""
    await engine.courses.of(PHYSICS, clock() - HOUR)
    await store.put(PHYSICS, 0, Course(time_zone="Pacific/Kiritimati"))
    assert await engine.courses.learn({PHYSICS}, clock())
    assert engine.courses.at_hand(PHYSICS).zone.name == "Pacific/Kiritimati"
    assert not await engine.courses.learn({PHYSICS}, clock())
    assert not await engine.courses.learn([], clock())


async def test_of_more_courses_than_are_cached_each_goes_by_its_own_rules(
    engine: Engine, store: MovableCourses, clock: Clock
) -> None:
    keys = [CourseKey("default", f"c{number}") for number in range(LARGEST_CACHE // COURSE_SIZE + 200)]
    for key in keys:
        await store.put(key, 0, Course(time_zone="Pacific/Kiritimati"))
    assert await engine.courses.learn(keys, clock())
    assert {engine.courses.at_hand(key).zone.name for key in keys} == {"Pacific/Kiritimati"}
    assert not await engine.courses.learn(keys, clock())
    await engine.courses.learn([CourseKey("default")], clock())
    await engine.courses.learn_all("default", clock())
    assert {engine.courses.at_hand(key).zone.name for key in keys} == {"Pacific/Kiritimati"}


async def test_courses_with_many_items_take_the_place_of_many_without(
    engine: Engine, store: MovableCourses, clock: Clock
) -> None:
    items = tuple(CourseItem(f"q{number}") for number in range(20_000))
    keys = [CourseKey("default", f"c{number}") for number in range(60)]
    for key in keys:
        await store.put(key, 0, Course(items=items))
        await engine.courses.of(key, clock())
    await engine.courses.of_many(keys, clock())
    assert len(store.loads) == 60 + 13  # 47 of them stay


async def test_while_the_store_is_away_the_last_one_holds(engine: Engine, store: MovableCourses, clock: Clock) -> None:
    await store.put(PHYSICS, 0, Course("Physics"))
    store.is_away = True
    with pytest.raises(Unavailable):
        await engine.courses.of(PHYSICS, clock())
    store.is_away = False
    await engine.courses.of(PHYSICS, clock())
    store.is_away = True
    assert (await engine.courses.of(PHYSICS, clock() + MINUTE)).title == "Physics"
    with pytest.raises(Unavailable):
        await engine.courses.of_many([PHYSICS, CourseKey("default", "other")], clock() + MINUTE)


async def test_who_always_comes_second_is_told(engine: Engine, store: MovableCourses) -> None:
    store.is_lost = True
    with pytest.raises(Conflict):
        await engine.courses.put(ADMIN, "physics", change(title="Physics"))


async def test_a_course_begins_with_its_first_event(engine: Engine, store: MovableCourses, clock: Clock) -> None:
    with pytest.raises(NotFound):
        await engine.courses.show(ADMIN, "physics")
    folding = engine.worker._folding
    for number in range(3):
        await folding.fold(in_log([quiz(5, 10, f"e{number}", course_id="physics")]), clock())
    await folding.fold(in_log([quiz(5, 10)]), clock())
    assert store.noted == [PHYSICS]
    shown = await engine.courses.show(ADMIN, "physics")
    assert (shown.version, shown.curriculum.modules, shown.rules.half_life_days) == (0, [], 14.0)
    assert [one.course_id for one in (await engine.courses.list(ADMIN)).courses] == ["default", "physics"]


async def test_a_fold_goes_by_the_courses_own_rules(engine: Engine, clock: Clock) -> None:
    weights = {"completion": 0.0, "quiz": 1.0, "quality": 0.0, "consistency": 0.0}
    await engine.courses.put(ADMIN, "physics", change(rules={"weights": weights}))
    events = [quiz(5, 10, "a"), quiz(5, 10, "b", course_id="physics")]
    await engine.worker._folding.fold(in_log(events), clock())
    assert (await student(engine, "physics")).sent.score == pytest.approx(0.5)
    assert (await student(engine, "default")).sent.score == pytest.approx(
        0.3 * 0.5 + 0.1 / sum(0.9**day for day in range(7))
    )


async def test_a_day_of_a_fold_is_one_of_the_courses_time_zone(engine: Engine, clock: Clock) -> None:
    await engine.courses.put(ADMIN, "physics", change(time_zone="Pacific/Kiritimati"))
    await engine.worker._folding.fold(in_log([quiz(5, 10, "a"), quiz(5, 10, "b", course_id="physics")]), clock())
    here, there = [(await student(engine, name)).evidence.activity for name in ("default", "physics")]
    assert (here, there) == (ActiveDays.of(NOW // DAY), ActiveDays.of(NOW // DAY + 1))  # 10:30 UTC is 00:30 there


async def test_answers_have_the_skills_of_their_item(engine: Engine, clock: Clock) -> None:
    await engine.courses.put(ADMIN, "default", CourseChange(items=(CourseItem("q1", ("loops",)),)))
    await engine.worker._folding.fold(in_log([answered(item_id="q1", correct=True, skills=())]), clock())
    assert (await student(engine, "default")).knowledge.skills.keys() == {"loops"}


async def test_an_events_age_is_one_of_its_courses_days(engine: Engine, clock: Clock) -> None:
    await engine.courses.put(ADMIN, "physics", change(time_zone="Etc/GMT+12"))
    await engine.courses.put(ADMIN, "art", change(time_zone="Pacific/Kiritimati"))
    at = NOW // DAY * DAY - 89 * DAY - HOUR  # the last hour of the last day, in UTC, whose evidence is gone
    data = {"total_questions": 10, "correct_answers": 5}
    sent = [raw(envelope("quiz", data, name, at=at, course_id=name)) for name in ("physics", "default", "art")]
    taken = await engine.ingest.take(ADMIN, sent)
    assert [one.status for one in taken.results] == ["queued", "refused", "refused"]
