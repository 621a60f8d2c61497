"""A calculation that names no course is recorded once, where it first was, whatever courses the student has by then.

On every backend, since the choice is kept in the store.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory.logs import open_logs
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.engine import Engine
from mastery_engine.errors import CourseRequired
from mastery_engine.ports.backend import Logs, Stores
from mastery_engine.responses.batches import BatchResponse, BatchState
from mastery_engine.services.batch_requests import BatchRow
from mastery_engine.services.idempotency import IdempotencyKey, keyed
from tests.support.composed import composed
from tests.support.samples import Clock
from tests.support.stores import stores_fixture

CALLER = Caller("tests", "admin")
OTHER = Caller("tests", "admin", "school-2")
KEY = keyed("lesson 7", b"{}")
GIVEN = ComponentValues(quiz=0.5)
MANY = 101  # more than are answered at once

stores = stores_fixture()


@pytest.fixture
def logs() -> Logs:
    return open_logs()


@pytest.fixture
def engine(stores: Stores, logs: Logs) -> Engine:
    return composed(stores, logs, Clock())


async def enrol(engine: Engine, *course_ids: str, student_id: str = "ada") -> None:
    """The student is known in these courses from now on."""
    for course_id in course_ids:
        await engine.scores.calculate(CALLER, student_id, ComponentValues(completion=0.2), course_id=course_id)


async def recorded(logs: Logs) -> list[tuple[str, str]]:
    """Student and course of each event that gives the quiz, one for each event and course."""
    found = {}
    async for page in logs.events.pages():
        for record in page:
            event: Any = msgspec.json.decode(record.value or b"")
            if "quiz" in event["data"]["components"]:
                course_id = event.get("course_id", "default")
                found[event["event_id"], course_id] = (event["student_id"], course_id)
    return sorted(found.values())


async def calculate(engine: Engine, key: IdempotencyKey | None = KEY, caller: Caller = CALLER) -> float:
    return (await engine.scores.calculate(caller, "ada", GIVEN, key=key)).current_mastery.mastery_score


async def test_the_course_of_the_first_call_stays(engine: Engine, logs: Logs) -> None:
    await enrol(engine, "rust")
    first = await calculate(engine)
    await enrol(engine, "default")
    assert await calculate(engine) == first
    assert await recorded(logs) == [("ada", "rust")]
    assert await calculate(engine, keyed("another", b"{}")) == first
    assert await recorded(logs) == [("ada", "default"), ("ada", "rust")]


async def test_a_repeat_is_taken_where_a_new_call_must_name_a_course(engine: Engine, logs: Logs) -> None:
    await enrol(engine, "rust")
    first = await calculate(engine)
    await enrol(engine, "go")
    assert await calculate(engine) == first
    for key in (None, keyed("another", b"{}")):
        with pytest.raises(CourseRequired):
            await calculate(engine, key)
    assert await recorded(logs) == [("ada", "rust")]


async def test_whom_nobody_knew_stays_in_the_default_course(engine: Engine, logs: Logs) -> None:
    await calculate(engine)
    await enrol(engine, "rust", "go")
    await calculate(engine)
    assert await recorded(logs) == [("ada", "default")]


async def test_a_call_that_was_refused_for_want_of_a_course_chose_none(engine: Engine, logs: Logs) -> None:
    await enrol(engine, "rust", "go")
    with pytest.raises(CourseRequired):
        await calculate(engine)
    await enrol(engine, "default")
    await calculate(engine)
    assert await recorded(logs) == [("ada", "default")]


async def test_another_tenant_chooses_for_itself(engine: Engine, logs: Logs) -> None:
    await enrol(engine, "rust")
    await calculate(engine)
    await calculate(engine, caller=OTHER)
    assert await recorded(logs) == [("ada", "default"), ("ada", "rust")]


def rows(number: int = 4) -> list[BatchRow]:
    """Two without a course, one with, and as many as are asked for of others."""
    others = [BatchRow(f"s-{place}", GIVEN) for place in range(number - 4)]
    return [
        BatchRow("ada", GIVEN),
        BatchRow("bob", GIVEN),
        BatchRow("ada", GIVEN, course_id="art"),
        *others,
        BatchRow(),
    ]


def answered(answer: BatchResponse | BatchState) -> BatchResponse:
    assert isinstance(answer, BatchResponse)
    return answer


def shown(answer: BatchResponse) -> Sequence[Any]:
    """Without what time makes of it."""
    results = [(row.index, row.student_id, row.current_mastery.mastery_score) for row in answer.results]
    return [results, answer.failures, answer.summary]


async def test_each_row_of_a_batch_stays_where_it_was(engine: Engine, logs: Logs) -> None:
    await enrol(engine, "rust")
    first = answered(await engine.batches.calculate(CALLER, rows(), key=KEY))
    assert (first.summary.success, first.summary.failed) == (3, 1)
    await enrol(engine, "default", "go")
    await enrol(engine, "rust", "go", student_id="bob")
    again = answered(await engine.batches.calculate(CALLER, rows(), key=KEY))
    assert shown(again) == shown(first)
    assert await recorded(logs) == [("ada", "art"), ("ada", "rust"), ("bob", "default")]


async def test_a_row_that_was_refused_for_want_of_a_course_may_be_taken_later(engine: Engine, logs: Logs) -> None:
    await enrol(engine, "rust", "go")
    first = answered(await engine.batches.calculate(CALLER, rows(), key=KEY))
    assert [(row.index, row.error.code) for row in first.failures] == [(0, "COURSE_REQUIRED"), (3, "VALIDATION_ERROR")]
    await enrol(engine, "default")
    for _ in range(2):
        answered(await engine.batches.calculate(CALLER, rows(), key=KEY))
        await enrol(engine, "rust", student_id="bob")
    assert await recorded(logs) == [("ada", "art"), ("ada", "default"), ("bob", "default")]


async def test_a_large_batch_that_a_crash_cut_is_worked_again_where_it_was(
    engine: Engine, stores: Stores, logs: Logs
) -> None:
    await enrol(engine, "rust")
    queued = await engine.batches.calculate(CALLER, rows(MANY))
    assert isinstance(queued, BatchState)
    job = await stores.jobs.find("default", queued.batch_id)
    assert job is not None

    async def cut(*_: object) -> bool:
        raise ConnectionResetError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.batches._jobs, "answer", cut)
        with pytest.raises(ConnectionResetError):
            await engine.batches._finish(job)
    first = await recorded(logs)
    await enrol(engine, "default", "go")
    await enrol(engine, "rust", "go", student_id="bob")
    await composed(stores, logs, Clock()).batches._finish(job)
    assert await recorded(logs) == first
    assert {("ada", "rust"), ("bob", "default"), ("ada", "art")} <= set(first)
    done = await engine.batches.state(CALLER, queued.batch_id)
    assert done.summary is not None
    assert (done.summary.success, done.summary.failed) == (MANY - 1, 1)
