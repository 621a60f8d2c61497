"""A student in several courses: each course's events move that course's document, in one batch as in many."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.student import DocumentKey, Student, StudentKey
from mastery_engine.domain.transition import apply_all, needs_cold
from mastery_engine.engine import Engine
from mastery_engine.services import folding
from mastery_engine.services.folding import Folded
from tests.support.composed import composed
from tests.support.samples import NOW, Clock, event, logged

ADA, BOB = StudentKey("default", "ada"), StudentKey("default", "bob")
QUIZ = {"total_questions": 4, "correct_answers": 3}


@pytest.fixture
def engine() -> Engine:
    clock = Clock()
    return composed(memory_stores.open_stores(clock), memory_logs.open_logs(), clock)


def quiz(event_id: str, course_id: str | None = None, student: StudentKey = ADA, **more: Any) -> LearningEvent:
    named = {} if course_id is None else {"course_id": course_id}
    made = event("quiz", QUIZ, event_id, student_id=student.student_id, **named, **more)
    return msgspec.structs.replace(made, tenant=student.tenant)


async def fold(engine: Engine, events: Sequence[Logged]) -> Folded:
    return await engine.worker._folding.fold(events, engine.clock())


async def versions(engine: Engine, student: StudentKey = ADA) -> dict[str, int]:
    (courses,) = await engine.purge._stores.documents.of_students([student])
    return {course_id: held.version for course_id, held in courses.items()}


async def test_one_batch_moves_each_course_by_its_own_events(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    courses: list[set[CourseKey]] = []

    def noted(batch: Any, *args: Any, **named: Any) -> Any:
        turns = list(batch)
        courses.append({CourseKey(one.event.tenant, one.event.course_id) for _, events, _ in turns for one in events})
        return apply_all(turns, *args, **named)

    monkeypatch.setattr(folding, "apply_all", noted)
    elsewhere = StudentKey("school-1", "ada")
    events = [quiz("1"), quiz("1", "rust"), quiz("2", student=BOB), quiz("2", "rust"), quiz("1", student=elsewhere)]
    folded = await fold(engine, logged([*events, quiz("3", "default")]))
    counted = {key: len(student.outbox[0].result.caused_by) for key, student in folded.students.items()}
    assert counted == {
        DocumentKey(*ADA): 2,
        DocumentKey(*BOB): 1,
        DocumentKey(*ADA, "rust"): 2,
        DocumentKey(*elsewhere): 1,
    }
    expected = [{CourseKey("default")}, {CourseKey("default", "rust")}, {CourseKey("school-1")}]
    assert sorted(courses, key=str) == sorted(expected, key=str)
    assert await versions(engine) == {"default": 1, "rust": 1}
    assert await versions(engine, elsewhere) == {"default": 1}
    again = await fold(engine, logged([quiz("1", "rust"), quiz("4", "rust")], first=9))
    assert [one.caused_by for one in [again.students[DocumentKey(*ADA, "rust")].outbox[-1].result]] == [("4",)]


async def test_an_event_that_breaks_the_fold_of_one_course_harms_no_other(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = folding.apply_all

    def breaking(batch: Any, *args: Any, **named: Any) -> Any:
        turns = list(batch)
        if any(one.event.event_id == "breaks" for _, events, _ in turns for one in events):
            raise OverflowError("as no event should")
        return broken(turns, *args, **named)

    monkeypatch.setattr(folding, "apply_all", breaking)
    monkeypatch.setattr("mastery_engine.domain.transition.apply_all", breaking)
    events = logged([quiz("1"), quiz("breaks", "rust"), quiz("1", "rust"), quiz("1", "go")])
    folded = await fold(engine, events)
    assert [one for one, _ in folded.failed] == [events[1]]
    assert await versions(engine) == {"default": 1, "rust": 1, "go": 1}


async def test_an_erasure_takes_all_courses_and_what_was_received_before_counts_in_none(engine: Engine) -> None:
    await fold(
        engine, logged([quiz("1", metadata={"cohort_id": "py"}), quiz("1", "rust", metadata={"cohort_id": "rs"})])
    )
    assert await engine.cohorts.of(ADA) == {"py", "rs"}
    await engine.consents.erase(ADA)
    late = logged([quiz("2", "rust"), quiz("2", "go")], first=5)
    folded = await fold(engine, late)
    assert sorted(folded.refused, key=str) == sorted(late, key=str)
    assert await versions(engine) == {}


async def test_consent_is_a_students_in_all_courses(engine: Engine) -> None:
    await engine.consents.change(ADA, processing=False, profiling=None)
    received = NOW + 10
    events = logged([quiz("1", name, received=received) for name in ("default", "rust")])
    assert (await fold(engine, [*events, *logged([quiz("1", "rust", BOB)], first=2)])).refused == events
    assert (await versions(engine), await versions(engine, BOB)) == ({}, {"rust": 1})


async def test_a_cohort_is_of_the_course_of_the_first_event_that_named_it(engine: Engine) -> None:
    """By receipt, however the events lie in a batch, and whichever batch comes first."""

    async def course_of(cohort_id: str) -> str:
        return (await engine.purge._stores.cohorts.roster("default", cohort_id, since=0)).course_id

    def naming(event_id: str, course_id: str, received: int, **more: Any) -> LearningEvent:
        return quiz(event_id, course_id, received=NOW + received, metadata={"cohort_id": "class"}, **more)

    assert await course_of("class") == "default"
    late = [quiz("1", "art"), naming("2", "art", 5), naming("1", "rust", 3), naming("3", "art", 4)]
    await fold(engine, logged(late))
    assert await course_of("class") == "rust"
    await fold(engine, logged([naming("4", "art", 2, student=BOB), naming("5", "rust", 9, student=BOB)], first=4))
    assert await course_of("class") == "art"
    tomorrow = [quiz("6", "rust", received=NOW + DAY), quiz("7", "rust", received=NOW + DAY, student=BOB)]
    await fold(engine, logged(tomorrow, first=6))
    assert await course_of("class") == "art", "who joins anew each day does not name it anew"


async def test_who_has_no_evidence_left_in_one_course_stays_in_the_cohorts_that_another_names(engine: Engine) -> None:
    old, stores = NOW - 80 * DAY, engine.purge._stores
    both = [
        quiz("1", "rust", at=old, metadata={"cohort_id": "rs"}),
        quiz("2", "rust", at=old, metadata={"cohort_id": "all"}),
        quiz("3", metadata={"cohort_id": "all"}),
    ]
    await fold(engine, logged(both))
    clock: Any = engine.clock
    clock.tick(20 * DAY)
    await engine.purge.run()
    assert await versions(engine) == {"default": 2}
    roster = {name: (await stores.cohorts.roster("default", name, since=0)).joined for name in ("rs", "all")}
    assert roster == {"rs": frozenset(), "all": {"ada"}}


async def test_an_hour_is_busy_when_more_students_wait_than_are_folded_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the whole batch is: advice and cold ids of a day wait, and both calls of the fold are told the same."""
    told: list[tuple[bool, bool]] = []

    def asked(student: Student, events: Sequence[Logged], *, is_busy: bool) -> bool:
        told.append((needs_cold(student, events), is_busy))
        return True

    def noted(batch: Any, *args: Any, **named: Any) -> Any:
        told.append((False, named["is_busy"]))
        return apply_all(batch, *args, **named)

    monkeypatch.setattr(folding, "apply_all", noted)
    monkeypatch.setattr(folding, "needs_cold", asked)
    monkeypatch.setattr(folding, "STUDENTS_AT_ONCE", 1)
    await fold(engine, logged([quiz("1")]))
    assert told == [(False, False)]
    await fold(engine, logged([quiz("2"), quiz("3", student=BOB)], first=1))
    assert told[1:] == [(False, True)] * 3
