"""What every queue of dead letters promises, whichever backend it is."""

import asyncio

import msgspec
import pytest

from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.dead_letters import DeadLetter, DeadLetterQueue, LetterReason, LetterReasons
from mastery_engine.ports.event_log import EventLog, Position
from tests.support.logs import OpenedLogs, batches_from, letter, logs_fixture, on_one_machine, place, records
from tests.support.samples import NOW, envelope, helped, raw

opened = logs_fixture()
BYTES = bytes(range(256)) * 4_000


@pytest.fixture
def queue(opened: OpenedLogs) -> DeadLetterQueue:
    return opened.logs.dead_letters


@pytest.fixture
def log(opened: OpenedLogs) -> EventLog:
    return opened.logs.events


def without_id(letters: list[DeadLetter]) -> list[DeadLetter]:
    return [msgspec.structs.replace(kept, letter_id=0) for kept in letters]


# ---- in, and out for people


async def test_a_dead_letter_is_kept_as_it_came(queue: DeadLetterQueue) -> None:
    others = {"student_id": None, "event_id": "e-7"}
    letters = [
        letter(3),
        letter(1, key=None, value=None, headers={"event_id": "e-7"}, **others),
        letter(
            2, key=b"\xff\x00", value=BYTES, headers={"event_id": "e-7", "x": "größe", "": ""}, attempts=7, **others
        ),
    ]
    assert await queue.page() == []
    await queue.append([])
    await queue.append(letters)
    kept = await queue.page()
    assert without_id(kept) == letters
    ids = [each.letter_id for each in kept]
    assert ids == sorted(set(ids))
    for each in kept:
        assert await queue.find(each.letter_id) == each
    assert await queue.find(max(ids) + 1) is None


async def test_the_same_position_is_dead_lettered_once(queue: DeadLetterQueue) -> None:
    await queue.append([letter(1), letter(1, message="again")])
    await queue.append([letter(1, message="and again"), letter(2)])
    await queue.append([letter(1, partition=1), letter(1, topic="other")])
    kept = [(each.topic, each.partition, each.offset, each.message) for each in await queue.page()]
    assert kept == [
        ("mastery.requests", 0, 1, "größer"),
        ("mastery.requests", 0, 2, "größer"),
        ("mastery.requests", 1, 1, "größer"),
        ("other", 0, 1, "größer"),
    ]


async def test_dead_letters_come_in_pages(queue: DeadLetterQueue) -> None:
    await queue.append([letter(n) for n in range(25)])
    letters, after = [], 0
    while page := await queue.page(after=after, limit=10):
        assert len(page) <= 10
        letters += page
        after = page[-1].letter_id
    assert [each.offset for each in letters] == list(range(25))


async def test_dead_letters_are_counted_and_found_by_their_code(queue: DeadLetterQueue, log: EventLog) -> None:
    await log.append([helped("before")])
    await queue.append(
        [
            letter(0, code="B", at=NOW + 9),
            letter(1, code="B", at=NOW + 3),
            letter(2, code="B", at=NOW + 5),
            letter(3, code="A", at=NOW + 4),
            letter(4, code="B", tenant="school-1", headers={"tenant": "school-1"}),
        ]
    )
    first, second, third, *_ = await queue.page()
    await queue.redrive([first.letter_id], NOW + 99)
    assert (await queue.reasons("default")).reasons == [LetterReason("A", 1, NOW + 4), LetterReason("B", 2, NOW + 5)]
    assert await queue.reasons("school-2") == LetterReasons([])
    found = await queue.with_code("default", "B", before=None, limit=10)
    assert found == [third, second, msgspec.structs.replace(first, redriven=NOW + 99)]
    assert await queue.with_code("default", "B", before=third.letter_id, limit=1) == [second]


async def test_what_waits_with_a_code_comes_oldest_first_up_to_a_moment(queue: DeadLetterQueue, log: EventLog) -> None:
    await log.append([helped("before")])
    await queue.append(
        [
            letter(0, at=NOW + 3),
            letter(1, at=NOW + 1),
            letter(2, at=NOW + 2, value=None),
            letter(3, at=NOW + 2),
            letter(4, at=NOW + 9),
            letter(5, code="B"),
            letter(6, tenant="school-1", headers={"tenant": "school-1"}),
        ]
    )
    redriven = (await queue.page())[3]
    await queue.redrive([redriven.letter_id], NOW + 4)

    async def waiting(limit: int) -> list[int]:
        found = await queue.waiting("default", "VALIDATION_ERROR", until=NOW + 3, limit=limit)
        assert all(each.value is not None for each in found)
        return [each.offset for each in found]

    assert await waiting(10) == [1, 0]
    assert await waiting(1) == [1]
    await queue.append([letter(7, at=NOW)])
    assert await waiting(10) == [7, 1, 0], "what came later is read, too"


async def test_it_is_known_which_records_of_the_log_failed_and_why(queue: DeadLetterQueue) -> None:
    assert await queue.codes_at([]) == {}
    await queue.append([letter(1), letter(2, code="B", partition=1), letter(3, topic="other")])
    asked = [Position(0, 1), Position(1, 2), Position(0, 3), Position(0, 9)]
    assert await queue.codes_at(asked) == {Position(0, 1): "VALIDATION_ERROR", Position(1, 2): "B"}


# ---- back into the log


async def test_a_letter_is_redriven_once_as_it_was(opened: OpenedLogs, queue: DeadLetterQueue, log: EventLog) -> None:
    value = raw(envelope("help", {"topic": "x"}, "e-1"))
    await log.append([helped("before")])
    await queue.append([letter(0, tenant="school-1", headers={"tenant": "school-1"}, value=value, received=NOW - 5)])
    (before,) = await queue.page()
    position = (await queue.redrive([before.letter_id, before.letter_id], NOW + 99))[before.letter_id]
    *_, last = await records(log)
    assert place(last) == position
    assert (last.value, last.key, last.tenant, last.event_id) == (before.value, b"ada", "school-1", "e-1")
    assert opened.stamps or last.received == NOW - 5
    kept = await queue.find(before.letter_id)
    assert kept == msgspec.structs.replace(before, redriven=NOW + 99)
    assert await queue.redrive([before.letter_id, before.letter_id + 1], NOW + 100) == {}
    assert len(await records(log)) == 2
    assert await queue.find(before.letter_id) == kept


async def test_many_letters_are_redriven_in_one_go(queue: DeadLetterQueue, log: EventLog) -> None:
    await log.append([helped("before")])
    await queue.append([letter(n, value=b"%d" % n, event_id=f"e-{n}") for n in range(250)])
    ids = [each.letter_id for each in await queue.page(limit=1_000)]
    await queue.redrive(ids[:10], NOW)
    positions = await queue.redrive(ids, NOW)
    assert set(positions) == set(ids[10:])
    values = {place(record): record.value or b"" for record in await records(log)}
    assert sorted(values[position] for position in positions.values()) == sorted(b"%d" % n for n in range(10, 250))
    assert all(each.redriven is not None for each in await queue.page(limit=1_000))


async def test_a_letter_counts_how_often_it_was_tried(queue: DeadLetterQueue, log: EventLog) -> None:
    await log.append([helped("before")])
    await queue.append([letter(0, event_id="e-1"), letter(1, value=b'{"event_id": "e-2"}', event_id="e-2")])
    for tries in (1, 2, 3):
        last = (await queue.page())[-1] if tries > 1 else (await queue.page())[0]
        assert (last.event_id, last.attempts) == ("e-1", tries)
        assert "dlq.attempts" not in last.headers
        position = (await queue.redrive([last.letter_id], NOW + tries))[last.letter_id]
        again = next(record for record in await records(log) if place(record) == position)
        await queue.append([letter(100 + tries, event_id="e-1", headers=again.headers)])
    assert [each.attempts for each in await queue.page() if each.event_id == "e-2"] == [1]


@on_one_machine
async def test_a_null_value_without_an_id_can_be_redriven(queue: DeadLetterQueue, log: EventLog) -> None:
    await queue.append([letter(0, key=None, value=None, student_id=None, event_id=None)])
    (kept,) = await queue.page()
    assert await queue.redrive([kept.letter_id], NOW)
    (record,) = await records(log)
    assert (record.key, record.value, record.event_id) == (None, None, "")


@on_one_machine
async def test_of_two_that_redrive_at_once_one_does(queue: DeadLetterQueue, log: EventLog) -> None:
    await queue.append([letter()])
    (kept,) = await queue.page()
    done = await asyncio.gather(*[queue.redrive([kept.letter_id], NOW + n) for n in range(5)])
    assert sum(map(len, done)) == 1
    assert len(await records(log)) == 1


async def test_a_redrive_wakes_an_idle_reader(queue: DeadLetterQueue, log: EventLog) -> None:
    await queue.append([letter()])
    batches = batches_from(log)
    async with asyncio.timeout(10):
        while await anext(batches) is not None:
            pass
        waiting = asyncio.ensure_future(anext(batches))
        await queue.redrive([(await queue.page())[0].letter_id], NOW)
        while (batch := await waiting) is None:
            waiting = asyncio.ensure_future(anext(batches))
    assert len(batch.records) == 1


# ---- what goes


async def test_an_erasure_takes_a_students_letters_where_they_can_be_taken_out(
    opened: OpenedLogs, queue: DeadLetterQueue
) -> None:
    """A student is known by what the letter holds, or by its key where that cannot be read."""
    unreadable = {"student_id": None, "value": b"{", "event_id": "e-3", "headers": {"event_id": "e-3"}}
    theirs = {"student_id": "bob", "key": b"bob", "value": b'{"event_id": "e-1", "student_id": "bob"}'}
    letters = [
        letter(0),
        letter(1, **unreadable),
        letter(2, key=None),
        letter(3, **theirs),
        letter(4, tenant="school-1", headers={"tenant": "school-1"}),
    ]
    await queue.append(letters)
    assert await queue.erase(StudentKey("default", "ada")) == (0 if opened.stamps else 3)
    assert without_id(await queue.page()) == (letters if opened.stamps else letters[3:])
    assert await queue.erase(StudentKey("default", "ada")) == 0


@on_one_machine
async def test_a_purge_takes_the_letters_of_old_records(queue: DeadLetterQueue) -> None:
    await queue.append([letter(0, received=NOW - 1), letter(1, received=NOW)])
    assert await queue.purge(NOW) == 1
    assert [each.offset for each in await queue.page()] == [1]
    assert await queue.purge(NOW) == 0


@on_one_machine
async def test_numbers_are_not_given_twice(queue: DeadLetterQueue) -> None:
    await queue.append([letter(n) for n in range(3)])
    old = [each.letter_id for each in await queue.page()]
    assert await queue.purge(NOW + 1) == 3
    await queue.append([letter(9)])
    assert (await queue.page())[0].letter_id > max(old)
