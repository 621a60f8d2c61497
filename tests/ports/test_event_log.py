"""What every log promises, whichever it is: one suite, run over all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import msgspec
import pytest

from mastery_engine.backends.kafka.event_log import KafkaLog
from mastery_engine.backends.kafka.settings import KafkaSettings
from mastery_engine.backends.memory.event_log import MemoryLog
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.event_log import SqliteLog
from mastery_engine.domain.events.event import LearningEvent, decode
from mastery_engine.domain.results import Result, ThresholdReached, Updated, message, result_id
from mastery_engine.ports.event_log import Batch, DeadLetter, EventLog, Position, Record
from mastery_engine.wiring import system_clock
from scripts.servers.kafka import Kafka
from tests.support.fleet import EVENTS, RESULTS, records_of, without_topics
from tests.support.samples import DATA, NOW, envelope, event, helped, raw

SIZE = 4


class Opened(NamedTuple):
    """A log whose batches have four records at most, and what went out on it: all that consumers could see, by id.

    ``stamps``: the log itself says when something was received.
    """

    log: EventLog
    sent: Callable[[], Awaitable[list[dict[str, Any]]]]
    stamps: bool = False


@asynccontextmanager
async def memory(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    log = MemoryLog(batch_size=SIZE)

    async def sent() -> list[dict[str, Any]]:
        return [msgspec.to_builtins(message(result)) for result in log.published.values()]

    yield Opened(log, sent)


@asynccontextmanager
async def sqlite(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    database = Database(home / "log.db")
    log = SqliteLog(database, batch_size=SIZE)

    async def sent() -> list[dict[str, Any]]:
        return [msgspec.json.decode(value) for (value,) in database.read("SELECT value FROM results ORDER BY seq")]

    yield Opened(log, sent)
    await log.close()


@asynccontextmanager
async def kafka(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Opened]:
    server: Kafka = request.getfixturevalue("kafka")
    await asyncio.to_thread(without_topics, server)
    log = KafkaLog(KafkaSettings(server.bootstrap, partitions=1), batch_size=SIZE)

    async def sent() -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for one in await asyncio.to_thread(lambda: [*records_of(server, RESULTS), *records_of(server, EVENTS)]):
            said = msgspec.json.decode(one.value() or b"")
            found.setdefault(said["event_id"], said)
        return list(found.values())

    yield Opened(log, sent, stamps=True)
    await log.close()


Opener = Callable[[Path, pytest.FixtureRequest], AbstractAsyncContextManager[Opened]]
LOGS: list[Opener] = [memory, sqlite]
PARAMS = [*LOGS, pytest.param(kafka, marks=pytest.mark.xdist_group("kafka"))]

# What Kafka promises otherwise: one group reads, what is old goes by itself, and who redrives is one operator.
on_one_machine = pytest.mark.parametrize("opened", LOGS, ids=lambda opener: opener.__name__, indirect=True)


@pytest.fixture(params=PARAMS, ids=lambda opener: opener.__name__)
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    opener: Opener = request.param
    async with opener(tmp_path, request) as found:
        yield found


@pytest.fixture
def log(opened: Opened) -> EventLog:
    return opened.log


async def reading(log: EventLog, starts: Mapping[int, int] | None = None) -> AsyncIterator[Batch | None]:
    """The log's batches from some offsets on; from its beginning where none are given."""

    async def where(committed: Mapping[int, int]) -> Mapping[int, int]:
        return dict.fromkeys(committed, 0) if starts is None else starts

    async for batch in log.batches(where):
        yield batch


async def read(log: EventLog, starts: Mapping[int, int] | None = None) -> list[Batch]:
    """All batches up to the log's end."""
    ends, found = await log.ends(), []
    reached: dict[int, int] = {}
    async with asyncio.timeout(10):
        async for batch in reading(log, starts):
            if batch is None:
                if any(ends.values()) and not reached and starts is None:
                    continue  # a reader that has not been given its partitions yet
                break
            found.append(batch)
            reached |= batch.ends
            if all(reached.get(partition, 0) >= end for partition, end in ends.items()):
                break
    return found


async def records(log: EventLog, starts: Mapping[int, int] | None = None) -> list[Record]:
    return [record for batch in await read(log, starts) for record in batch.records]


def events_of(found: list[Record], received: int = NOW) -> list[LearningEvent]:
    return [decode(record.value or b"", received=received, tenant=record.tenant) for record in found]


def place(one: Record) -> Position:
    return Position(one.partition, one.offset)


# ---- events in


async def test_a_new_log_has_nothing_to_read(log: EventLog) -> None:
    assert await log.append([]) == []
    assert await records(log) == []
    await log.ping()


async def test_events_are_read_in_order_as_they_were_appended(log: EventLog) -> None:
    events = [event(kind, data, f"e-{kind}") for kind, data in DATA.items()]
    positions = await log.append(events)
    found = await records(log)
    assert events_of(found) == events
    assert [place(record) for record in found] == positions
    offsets = [position.offset for position in positions]
    assert offsets == sorted(set(offsets))


async def test_all_events_are_there_in_pages_and_none_of_them_is_worked(log: EventLog) -> None:
    assert [one async for page in log.pages() for one in page] == []
    events = [event(kind, data, f"e-{kind}") for kind, data in DATA.items()]
    await log.append(events)
    paged = [one async for page in log.pages() for one in page]
    assert events_of(paged) == events
    assert not any((await log.committed()).values())
    assert await records(log) == paged


async def test_a_record_has_its_receipt_tenant_student_and_id(opened: Opened) -> None:
    sent = decode(raw(envelope("help", {"topic": "größe"}, "e:1")), received=NOW + 17, tenant="school-1")
    before = system_clock() // 1_000 * 1_000
    await opened.log.append([sent])
    (record,) = await records(opened.log)
    assert (record.tenant, record.key, record.event_id) == ("school-1", b"ada", "e:1")
    if opened.stamps:
        assert before <= record.received <= system_clock()
    else:
        assert record.received == NOW + 17
    assert events_of([record], NOW + 17) == [sent]


async def test_repeats_are_records_of_their_own(log: EventLog) -> None:
    positions = await log.append([helped(), helped()])
    assert len(set(positions)) == 2
    assert events_of(await records(log)) == [helped(), helped()]


async def test_batches_have_a_size_and_follow_each_other(log: EventLog) -> None:
    await log.append([helped(f"e{n}") for n in range(2 * SIZE + 1)])
    batches = await read(log)
    assert all(len(batch.records) <= SIZE for batch in batches)
    reached: dict[int, int] = {}
    for batch in batches:
        for partition, start in batch.starts.items():
            assert start == reached.get(partition, 0)
        for record in batch.records:
            assert batch.starts[record.partition] <= record.offset < batch.ends[record.partition]
        reached |= batch.ends
    assert reached == await log.ends()


async def test_the_log_is_read_again_from_any_offset(log: EventLog) -> None:
    positions = await log.append([helped(f"e{n}") for n in range(7)])
    everything = await records(log)
    for position in positions:
        again = await records(log, {position.partition: position.offset})
        assert again == [one for one in everything if one.offset >= position.offset]
    assert await records(log, await log.ends()) == []


async def test_the_reader_is_told_what_is_committed(log: EventLog) -> None:
    await log.append([helped(f"e{n}") for n in range(3)])
    ends = await log.ends()
    await records(log)
    await log.commit(ends)
    told: list[dict[int, int]] = []

    async def where(committed: Mapping[int, int]) -> Mapping[int, int]:
        told.append(dict(committed))
        return committed

    batches = log.batches(where)
    async with asyncio.timeout(10):
        assert await anext(batches) is None
    assert told == [ends]


async def test_many_writers_at_once_get_a_position_each(log: EventLog) -> None:
    calls = [[helped(f"e-{call}-{n}", student_id=f"s-{call % 3}") for n in range(5)] for call in range(40)]
    appended = await asyncio.gather(*[log.append(events) for events in calls])
    where = {position: one for events, positions in zip(calls, appended, strict=True)
             for one, position in zip(events, positions, strict=True)}  # fmt: skip
    assert len(where) == 200
    found = await records(log)
    assert {place(record): one for record, one in zip(found, events_of(found), strict=True)} == where
    for positions in appended:  # the events of one call keep their order
        assert [position.offset for position in positions] == sorted(position.offset for position in positions)


async def test_a_call_may_have_thousands_of_events(log: EventLog) -> None:
    events = [helped(f"e{n}", metadata={"cohort_id": "c" * 100, "note": "ü" * 200}) for n in range(2_000)]
    positions = await log.append(events)
    assert len(set(positions)) == 2_000
    assert events_of(await records(log)) == events


async def test_an_idle_reader_says_so_and_wakes_when_something_comes(log: EventLog) -> None:
    batches = reading(log)
    async with asyncio.timeout(10):
        while await anext(batches) is not None:
            pass
        waits = []
        for _ in range(3):  # of which a busy machine may delay some
            waiting = asyncio.ensure_future(anext(batches))
            for _ in range(3):
                await asyncio.sleep(0.02)
                if waiting.done() and waiting.result() is None:
                    waiting = asyncio.ensure_future(anext(batches))
            await log.append([helped()])
            appended = monotonic()
            while (batch := await waiting) is None:
                waiting = asyncio.ensure_future(anext(batches))
            waits.append(monotonic() - appended)
            assert events_of(list(batch.records)) == [helped()]
    assert min(waits) < 1.0


@on_one_machine
async def test_two_readers_both_read_everything(log: EventLog) -> None:
    await log.append([helped(f"e{n}") for n in range(9)])
    ours, theirs = await asyncio.gather(records(log), records(log))
    assert ours == theirs
    assert len(ours) == 9


async def test_a_log_has_a_name_of_its_own(opened: Opened, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    name = await opened.log.log_id()
    assert name == await opened.log.log_id() != ""
    (tmp_path / "other").mkdir()
    opener: Opener = request.node.callspec.params["opened"]
    async with opener(tmp_path / "other", request) as other:
        assert await other.log.log_id() != name


async def test_what_is_committed_is_kept_until_it_moves(log: EventLog) -> None:
    await log.log_id()
    assert set((await log.committed()).values()) == {0}
    await log.append([helped(f"e{n}") for n in range(9)])
    await records(log)
    for number in (5, 9):
        await log.commit(dict.fromkeys(await log.committed(), number))
        assert set((await log.committed()).values()) == {number}
    assert len(await records(log)) == 9


# ---- results out


def updated(event_id: str = "e-1", score: float = 0.5, at: int = NOW, tenant: str = "default") -> Updated:
    return Updated(tenant, "ada", at, ("e-0", event_id), score, 0.0, "developing", (0.5, None, 0.5, 0.5), 0.7)


def reached(event_id: str = "e-1") -> ThresholdReached:
    return ThresholdReached("default", "ada", NOW, (event_id,), "developing", "beginner", 0.5, 0.0)


async def test_results_go_out_as_they_are(opened: Opened) -> None:
    results: list[Result] = [updated(), reached(), updated("e-2"), updated(tenant="school-1")]
    await opened.log.publish([])
    await opened.log.publish(results)
    expected = [msgspec.json.decode(msgspec.json.encode(message(result))) for result in results]
    found = [msgspec.json.decode(msgspec.json.encode(one)) for one in await opened.sent()]
    assert sorted(found, key=by_id) == sorted(expected, key=by_id)


def by_id(one: dict[str, Any]) -> str:
    return str(one["event_id"])


async def test_a_result_that_went_out_goes_out_no_second_time(opened: Opened) -> None:
    await opened.log.publish([updated(score=0.5)])
    await opened.log.publish([reached(), updated(score=0.9), reached()])
    found = {one["event_id"]: one for one in await opened.sent()}
    assert found.keys() == {result_id(updated()), result_id(reached())}
    assert found[result_id(updated())]["mastery_score"] == 0.5


# ---- dead letters


def letter(offset: int = 0, **more: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "topic": "mastery.requests",
        "partition": 0,
        "offset": offset,
        "tenant": "default",
        "key": b"ada",
        "value": b'{"event_id": "e-1", "student_id": "ada"}',
        "headers": {},
        "received": NOW,
        "student_id": "ada",
        "event_id": "e-1",
        "code": "VALIDATION_ERROR",
        "message": "größer",
        "attempts": 1,
        "at": NOW + 1,
    }
    return DeadLetter(**{**fields, **more})


BYTES = bytes(range(256)) * 4_000


def without_id(found: list[DeadLetter]) -> list[DeadLetter]:
    return [msgspec.structs.replace(one, letter_id=0) for one in found]


async def test_a_dead_letter_is_kept_as_it_came(opened: Opened) -> None:
    log, others = opened.log, {"student_id": None, "event_id": "e-7"}
    letters = [
        letter(3),
        letter(1, key=None, value=None, headers={"event_id": "e-7"}, **others),
        letter(
            2, key=b"\xff\x00", value=BYTES, headers={"event_id": "e-7", "x": "größe", "": ""}, attempts=7, **others
        ),
    ]
    assert await log.dead_letters() == []
    await log.bury([])
    await log.bury(letters)
    found = await log.dead_letters()
    assert without_id(found) == letters
    ids = [one.letter_id for one in found]
    assert ids == sorted(set(ids))
    for one in found:
        assert await log.dead_letter(one.letter_id) == one
    assert await log.dead_letter(max(ids) + 1) is None


async def test_the_same_position_is_buried_once(log: EventLog) -> None:
    await log.bury([letter(1), letter(1, message="again")])
    await log.bury([letter(1, message="and again"), letter(2)])
    await log.bury([letter(1, partition=1), letter(1, topic="other")])
    found = [(one.topic, one.partition, one.offset, one.message) for one in await log.dead_letters()]
    assert found == [
        ("mastery.requests", 0, 1, "größer"),
        ("mastery.requests", 0, 2, "größer"),
        ("mastery.requests", 1, 1, "größer"),
        ("other", 0, 1, "größer"),
    ]


async def test_dead_letters_come_in_pages(log: EventLog) -> None:
    await log.bury([letter(n) for n in range(25)])
    found, after = [], 0
    while page := await log.dead_letters(after=after, limit=10):
        assert len(page) <= 10
        found += page
        after = page[-1].letter_id
    assert [one.offset for one in found] == list(range(25))


async def test_a_letter_is_redriven_once_as_it_was(opened: Opened) -> None:
    log, value = opened.log, raw(envelope("help", {"topic": "x"}, "e-1"))
    await log.append([helped("before")])
    await log.bury([letter(0, tenant="school-1", headers={"tenant": "school-1"}, value=value, received=NOW - 5)])
    (one,) = await log.dead_letters()
    position = (await log.redrive([one.letter_id, one.letter_id], NOW + 99))[one.letter_id]
    *_, last = await records(log)
    assert place(last) == position
    assert (last.value, last.key, last.tenant, last.event_id) == (one.value, b"ada", "school-1", "e-1")
    assert opened.stamps or last.received == NOW - 5
    kept = await log.dead_letter(one.letter_id)
    assert kept == msgspec.structs.replace(one, redriven=NOW + 99)
    assert await log.redrive([one.letter_id, one.letter_id + 1], NOW + 100) == {}
    assert len(await records(log)) == 2
    assert await log.dead_letter(one.letter_id) == kept


async def test_many_letters_are_redriven_in_one_go(log: EventLog) -> None:
    await log.append([helped("before")])
    await log.bury([letter(n, value=b"%d" % n, event_id=f"e-{n}") for n in range(250)])
    ids = [one.letter_id for one in await log.dead_letters(limit=1_000)]
    await log.redrive(ids[:10], NOW)
    put = await log.redrive(ids, NOW)
    assert set(put) == set(ids[10:])
    stands = {place(one): one.value for one in await records(log)}
    assert sorted(stands[position] for position in put.values()) == sorted(b"%d" % n for n in range(10, 250))
    assert all(one.redriven is not None for one in await log.dead_letters(limit=1_000))


async def test_a_letter_counts_how_often_it_was_tried(log: EventLog) -> None:
    await log.append([helped("before")])
    await log.bury([letter(0, event_id="e-1"), letter(1, value=b'{"event_id": "e-2"}', event_id="e-2")])
    for tries in (1, 2, 3):
        last = (await log.dead_letters())[-1] if tries > 1 else (await log.dead_letters())[0]
        assert (last.event_id, last.attempts) == ("e-1", tries)
        assert "dlq.attempts" not in last.headers
        position = (await log.redrive([last.letter_id], NOW + tries))[last.letter_id]
        again = next(one for one in await records(log) if place(one) == position)
        await log.bury([letter(100 + tries, event_id="e-1", headers=again.headers)])
    assert [one.attempts for one in await log.dead_letters() if one.event_id == "e-2"] == [1]


@on_one_machine
async def test_a_null_value_without_an_id_can_be_redriven(log: EventLog) -> None:
    await log.bury([letter(0, key=None, value=None, student_id=None, event_id=None)])
    (one,) = await log.dead_letters()
    assert await log.redrive([one.letter_id], NOW)
    (record,) = await records(log)
    assert (record.key, record.value, record.event_id) == (None, None, "")


@on_one_machine
async def test_of_two_that_redrive_at_once_one_does(log: EventLog) -> None:
    await log.bury([letter()])
    (one,) = await log.dead_letters()
    done = await asyncio.gather(*[log.redrive([one.letter_id], NOW + n) for n in range(5)])
    assert sum(map(len, done)) == 1
    assert len(await records(log)) == 1


async def test_a_redrive_wakes_an_idle_reader(log: EventLog) -> None:
    await log.bury([letter()])
    batches = reading(log)
    async with asyncio.timeout(10):
        while await anext(batches) is not None:
            pass
        waiting = asyncio.ensure_future(anext(batches))
        await log.redrive([(await log.dead_letters())[0].letter_id], NOW)
        while (batch := await waiting) is None:
            waiting = asyncio.ensure_future(anext(batches))
    assert len(batch.records) == 1


# ---- the purge


@on_one_machine
async def test_a_purge_takes_what_is_old_and_was_worked(opened: Opened) -> None:
    log = opened.log
    positions = await log.append([helped(f"e{n}", at=NOW + n, received=NOW + n) for n in (-3, -2, -1, 0, 1)])
    await log.commit({positions[2].partition: positions[2].offset})  # the third is still to be worked
    await log.publish([updated("old", at=NOW - 1), updated("new", at=NOW)])
    await log.bury([letter(0, received=NOW - 1), letter(1, received=NOW)])
    assert await log.purge(NOW) == 2 + 1 + 1
    assert [record.received - NOW for record in await records(log)] == [-1, 0, 1]
    assert [one["caused_by"][-1] for one in await opened.sent()] == ["new"]
    assert [one.offset for one in await log.dead_letters()] == [1]
    assert await log.purge(NOW) == 0


@on_one_machine
async def test_positions_and_numbers_are_not_given_twice(log: EventLog) -> None:
    positions = await log.append([helped(f"e{n}") for n in range(3)])
    await log.bury([letter(n) for n in range(3)])
    old = [one.letter_id for one in await log.dead_letters()]
    await log.commit(await log.ends())
    assert await log.purge(NOW + 1) == 6
    (position,) = await log.append([helped("new", at=NOW + 1, received=NOW + 1)])
    assert position.offset > max(one.offset for one in positions)
    await log.bury([letter(9)])
    assert (await log.dead_letters())[0].letter_id > max(old)


@on_one_machine
async def test_who_reads_over_a_purged_part_gets_to_the_end(log: EventLog) -> None:
    """As a replay does: it waits for the end that the log had, though nothing may be left of it."""
    await log.append([helped(f"e{n}") for n in range(2 * SIZE)])
    await log.commit(await log.ends())
    await log.purge(NOW + 1)
    batches = await read(log)
    assert [record for batch in batches for record in batch.records] == []
    assert batches[-1].ends == await log.ends()
    await log.append([helped("new", at=NOW + 1, received=NOW + 1)])
    assert [record.event_id for record in await records(log)] == ["new"]
