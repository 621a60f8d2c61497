"""The bridge from Open edX's topic into the log: evidence once, what is refused named, whatever breaks."""

import asyncio
import json
from typing import Any

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory.platform_topic import MemoryPlatformTopic
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, rfc3339
from mastery_engine.domain.people.identity import Identity, external_student_id
from mastery_engine.domain.student import StudentKey
from mastery_engine.engine import Engine
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Logs
from mastery_engine.ports.event_log import Record
from mastery_engine.worker import bridge
from tests.support.composed import composed
from tests.support.openedx import TRACKING, checked, on_bus
from tests.support.samples import NOW, Clock

KIND = {"ce_type": TRACKING}
ADMIN = Caller("tests", "admin")
HOUR = 60 * MINUTE


def record(value: bytes | None, offset: int = 0, tenant: str = "default", **more: Any) -> Record:
    return Record(0, offset, NOW, tenant, b"key", value, "", **{"headers": KIND, **more})


def record_at(value: bytes, offset: int, *, received: int) -> Record:
    return Record(0, offset, received, "default", b"key", value, "", headers=KIND)


def answered(number: int = 1, *, ago: int = MINUTE, **more: Any) -> bytes:
    return on_bus(checked(rfc3339(NOW - ago), number, **more))


def student(username: str = "ada", tenant: str = "default") -> str:
    return external_student_id(b"", tenant, Identity("openedx", username))


@pytest.fixture
def logs() -> Logs:
    return memory_logs.open_logs()


@pytest.fixture
def topic() -> MemoryPlatformTopic:
    return MemoryPlatformTopic()


@pytest.fixture
def engine(topic: MemoryPlatformTopic, logs: Logs) -> Engine:
    return composed(logs=logs, clock=Clock(), platform_topic=topic)


async def work(engine: Engine, topic: MemoryPlatformTopic, *records: Record) -> None:
    topic.records += records
    assert engine.bridge is not None
    await engine.bridge.work_next()
    assert topic.committed == len(topic.records)
    await engine.worker.run(until=await engine.progress.ends())


async def in_log(logs: Logs) -> list[dict[str, Any]]:
    """Of an answered problem the event of the whole attempt; beside it is one of its question."""
    events = [json.loads(one.value or b"") async for page in logs.events.pages() for one in page]
    return [one for one in events if one["event_type"] == "quiz"]


async def letters(logs: Logs) -> list[Any]:
    return await logs.dead_letters.page()


async def test_an_answer_is_evidence_of_the_student_in_the_course(
    engine: Engine, topic: MemoryPlatformTopic, logs: Logs
) -> None:
    await work(engine, topic, record(answered()), record(answered(2, grade=0), 1))
    events = await in_log(logs)
    assert {one["student_id"] for one in events} == {student()}
    assert {one["course_id"] for one in events} == {"course-v1:edX+DemoX+Demo"}
    answer = await engine.scores.query(ADMIN, student())
    assert answer.current_mastery.components.quiz == 0.5
    assert await letters(logs) == []


async def test_a_record_that_comes_again_counts_once_whatever_its_place(
    engine: Engine, topic: MemoryPlatformTopic, logs: Logs
) -> None:
    await work(engine, topic, record(answered()))
    await work(engine, topic, record(answered(), 1), record(answered(), 2))
    assert len({one["event_id"] for one in await in_log(logs)}) == 1


async def test_what_is_of_another_kind_is_no_dead_letter(
    engine: Engine, topic: MemoryPlatformTopic, logs: Logs
) -> None:
    watched = {**checked(rfc3339(NOW)), "name": "play_video", "data": {"id": "v"}}
    other = record(b"\x00\x00\x00\x00\x01x", 1, headers={"ce_type": "org.openedx.learning.auth.session.login.v1"})
    await work(engine, topic, record(on_bus(watched)), other)
    assert (await in_log(logs), await letters(logs)) == ([], [])
    text = engine.metrics.text(NOW).decode()
    assert 'mastery_door_messages_total{door="openedx",outcome="ignored"} 2.0' in text


async def test_what_is_refused_is_a_dead_letter_with_its_reason_and_holds_nobody_up(
    engine: Engine, topic: MemoryPlatformTopic, logs: Logs
) -> None:
    records = [
        record(None),
        record(b"\x00\x00\x00\x00\x01", 1),
        record(answered(2, ago=400 * DAY), 2),
        record(answered(3), 3, "No Tenant"),
        record(answered(4), 4),
    ]
    await work(engine, topic, *records)
    found = {one.offset: one for one in await letters(logs)}
    assert found.keys() == {0, 1, 2, 3}
    assert {one.topic for one in found.values()} == {"memory"}
    assert "older than the 90 days" in found[2].message
    assert (found[2].student_id, found[2].value) == (student(), records[2].value)
    assert await logs.dead_letters.erase(StudentKey("default", student())) == 1
    assert len(await in_log(logs)) == 1


async def test_of_a_student_without_consent_nothing_is_kept(
    engine: Engine, topic: MemoryPlatformTopic, logs: Logs
) -> None:
    await engine.consents.change(StudentKey("default", student()), False, None)
    await work(engine, topic, record(answered()), record(answered(username="bob"), 1))
    (letter,) = await letters(logs)
    assert (letter.key, letter.value, letter.headers, letter.student_id, letter.code) == (
        None,
        None,
        {},
        None,
        "FORBIDDEN",
    )
    assert [one["student_id"] for one in await in_log(logs)] == [student("bob")]


async def test_tenants_are_told_apart(engine: Engine, topic: MemoryPlatformTopic, logs: Logs) -> None:
    await work(engine, topic, record(answered()), record(answered(), 1, "school-1"))
    assert {one["student_id"] for one in await in_log(logs)} == {student(), student(tenant="school-1")}


async def test_a_crash_before_the_commit_has_it_read_again_and_counted_once(
    topic: MemoryPlatformTopic, logs: Logs
) -> None:
    """The events are in the log, and the offset is not committed."""
    first = composed(logs=logs, clock=Clock(), platform_topic=topic)
    topic.records += [record(answered())]
    assert first.bridge is not None

    async def crash(_: Any) -> None:
        raise Unavailable("away")

    committed, topic.commit = topic.commit, crash  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await first.bridge.work_next()
    topic.commit = committed  # type: ignore[method-assign]
    await first.bridge.close()
    second = composed(logs=logs, clock=Clock(), platform_topic=topic)
    await work(second, topic)
    events = await in_log(logs)
    assert len(events) == 2
    assert len({one["event_id"] for one in events}) == 1


async def test_it_goes_on_once_the_topic_is_there(engine: Engine, topic: MemoryPlatformTopic, logs: Logs) -> None:
    assert engine.bridge is not None
    read, faults = topic.read, iter([Unavailable("away")] * 2)

    async def read_later() -> Any:
        for fault in faults:
            raise fault
        return await read()

    topic.records += [record(answered())]
    topic.read = read_later  # type: ignore[method-assign]
    task = asyncio.create_task(engine.bridge.keep_running())
    async with asyncio.timeout(5):
        while topic.committed < 1:
            await asyncio.sleep(0.01)
    task.cancel()
    assert len(await in_log(logs)) == 1


async def test_a_batch_that_could_not_be_appended_is_tried_again(
    engine: Engine, topic: MemoryPlatformTopic, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.bridge is not None
    append = logs.events.append

    async def fail(*_: Any, **__: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(logs.events, "append", fail)
    topic.records += [record(answered())]
    with pytest.raises(Unavailable):
        await engine.bridge.work_next()
    assert topic.committed == 0
    monkeypatch.setattr(logs.events, "append", append)
    await engine.bridge.work_next()
    assert (topic.committed, len(await in_log(logs))) == (1, 1)


async def test_the_receipt_is_the_topics_so_that_no_later_reading_brings_back_what_was_erased(
    topic: MemoryPlatformTopic, logs: Logs
) -> None:
    """Taken over a day after it came: in between the student was erased, and has consented anew."""
    clock = Clock()
    engine = composed(logs=logs, clock=clock, platform_topic=topic)
    ada = StudentKey("default", student())
    untimed = {**checked(rfc3339(NOW), 2), "timestamp": ""}
    clock.now = NOW + HOUR
    await engine.consents.erase(ada)
    clock.now = NOW + 2 * HOUR
    await engine.consents.change(ada, True, True)
    clock.now = NOW + 3 * HOUR
    before = [record(answered()), record(on_bus(untimed), 1)]
    # Came later, about a time before the erasure; and came later, about later.
    later = {"received": NOW + 2 * HOUR + MINUTE}
    timed = [record_at(answered(3), 2, **later), record_at(answered(4, ago=-2 * HOUR), 3, **later)]
    await work(engine, topic, *before, *timed)
    assert [one["timestamp"] for one in await in_log(logs)] == [rfc3339(NOW + 2 * HOUR)]
    assert {(one.offset, one.code, one.value) for one in await letters(logs) if one.code == "FORBIDDEN"} == {
        (0, "FORBIDDEN", None),
        (2, "FORBIDDEN", None),
    }


async def test_what_came_while_consent_was_withdrawn_does_not_count_later(
    topic: MemoryPlatformTopic, logs: Logs
) -> None:
    clock = Clock()
    engine = composed(logs=logs, clock=clock, platform_topic=topic)
    ada = StudentKey("default", student())
    clock.now = NOW - 2 * MINUTE
    await engine.consents.change(ada, False, None)
    clock.now = NOW + HOUR
    await engine.consents.change(ada, True, None)
    await work(engine, topic, record(answered()), record_at(answered(2), 1, received=NOW + HOUR + MINUTE))
    assert [one.offset for one in await letters(logs)] == [0]
    assert len(await in_log(logs)) == 1


async def test_an_age_is_that_at_the_receipt_by_the_topic_whenever_it_is_read(
    topic: MemoryPlatformTopic, logs: Logs
) -> None:
    clock = Clock()
    engine = composed(logs=logs, clock=clock, platform_topic=topic)
    clock.now = NOW + DAY
    await work(engine, topic, record(answered(ago=-HOUR)), record_at(answered(2), 1, received=0))
    (letter,) = await letters(logs)
    assert (letter.offset, "more than 5 minutes after its receipt" in letter.message) == (0, True)


async def test_what_keeps_it_from_the_topic_is_shown_until_it_is_over(
    topic: MemoryPlatformTopic, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trouble of the platform's makes nothing of ours unready; a fault of ours ends nothing, and is seen."""
    clock = Clock()
    engine = composed(logs=logs, clock=clock, platform_topic=topic)
    assert engine.bridge is not None
    monkeypatch.setattr(bridge, "LONGEST_PAUSE_S", 0.01)
    read = topic.read
    faults: list[Exception] = [Unavailable("Kafka has no topic"), ZeroDivisionError()]

    async def read_later() -> Any:
        if faults:
            raise faults[0]
        return await read()

    topic.read = read_later  # type: ignore[method-assign]
    task = asyncio.create_task(engine.bridge.keep_running())

    async def until(text: str) -> None:
        async with asyncio.timeout(5):
            while text not in "".join(engine.bridge.warnings()):  # type: ignore[union-attr]
                clock.now += SECOND
                await asyncio.sleep(0.005)

    await until("Kafka has no topic")
    faults.pop(0)
    await until("ZeroDivisionError")
    faults.pop(0)
    async with asyncio.timeout(5):
        while engine.bridge.warnings():
            clock.now += SECOND
            await asyncio.sleep(0.005)
    faults.append(Unavailable("Kafka has no topic"))
    await until("Kafka has no topic")
    faults.clear()
    topic.records += [record(answered())]
    async with asyncio.timeout(5):
        while engine.bridge.warnings():  # a record that comes ends it at once
            await asyncio.sleep(0.005)
    task.cancel()


async def test_a_refusal_is_answered_by_the_events_status(
    engine: Engine, topic: MemoryPlatformTopic, logs: Logs
) -> None:
    await work(engine, topic, record(answered(2, ago=400 * DAY)))
    (letter,) = await letters(logs)
    status = await engine.ingest.status(ADMIN, student(), letter.event_id)
    assert status.status == "dead_lettered"
