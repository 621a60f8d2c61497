"""What every log of events promises, whichever backend it is."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import msgspec
import pytest

from mastery_engine.domain.events.event import decode, encode
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.event_log import MOST_IN_PAGE, EventLog
from mastery_engine.wiring_clocks import system_clock
from tests.support.logs import (
    BATCH_SIZE,
    LOGS,
    OpenedLogs,
    batches_from,
    decoded,
    logs_fixture,
    on_one_machine,
    place,
    read,
    records,
)
from tests.support.samples import DATA, HOUR, NOW, envelope, event, helped, raw

opened = logs_fixture()
ADA = StudentKey("default", "ada")
ELSEWHERE = msgspec.structs.replace(helped("x2"), tenant="school-1")  # another student of this name


@pytest.fixture
def log(opened: OpenedLogs) -> EventLog:
    return opened.logs.events


# ---- events in, and out again


async def test_a_new_log_has_nothing_to_read(log: EventLog) -> None:
    assert await log.append([]) == []
    assert await records(log) == []


async def test_events_are_read_in_order_as_they_were_appended(log: EventLog) -> None:
    events = [event(kind, data, f"e-{kind}") for kind, data in DATA.items()]
    positions = await log.append(events)
    found = await records(log)
    assert decoded(found) == events
    assert [place(record) for record in found] == positions
    offsets = [position.offset for position in positions]
    assert offsets == sorted(set(offsets))


async def test_documents_are_kept_as_they_came_and_the_others_are_written(log: EventLog) -> None:
    values = [raw(envelope("help", {"topic": "loops"}, f"e-{number}")) + b" " for number in range(3)]
    events = [decode(value, received=NOW) for value in values]
    await log.append(events, values=[values[0], None, values[2]])
    found = await records(log)
    assert [record.value for record in found] == [values[0], encode(events[1]), values[2]]
    assert decoded(found) == events
    assert [record.event or event for record, event in zip(found, events, strict=True)] == events
    assert found[1].event is None


async def test_all_events_are_there_in_pages_and_none_of_them_is_worked(log: EventLog) -> None:
    assert [record async for page in log.pages() for record in page] == []
    events = [event(kind, data, f"e-{kind}") for kind, data in DATA.items()]
    await log.append(events)
    paged = [record async for page in log.pages() for record in page]
    assert decoded(paged) == events
    assert not any((await log.committed()).values())
    assert await records(log) == paged


async def test_a_long_log_comes_in_pages_and_a_reader_may_stop(log: EventLog) -> None:
    ids = [f"e-{number}" for number in range(2_300)]
    for start in range(0, len(ids), 500):
        await log.append([helped(event_id) for event_id in ids[start : start + 500]])
    pages = [page async for page in log.pages()]
    assert [record.event_id for page in pages for record in page] == ids
    assert len(pages) >= 3
    assert max(map(len, pages)) <= MOST_IN_PAGE
    reading = aiter(log.pages())
    first = await anext(reading)
    await reading.aclose()  # type: ignore[attr-defined]
    assert [record.event_id for record in first] == ids[: len(first)]


async def test_a_record_has_its_receipt_tenant_student_and_id(opened: OpenedLogs, log: EventLog) -> None:
    sent = decode(raw(envelope("help", {"topic": "größe"}, "e:1")), received=NOW + 17, tenant="school-1")
    before = system_clock() // 1_000 * 1_000
    await log.append([sent])
    (record,) = await records(log)
    assert (record.tenant, record.key, record.event_id) == ("school-1", b"ada", "e:1")
    if opened.stamps:
        assert before <= record.received <= system_clock()
    else:
        assert record.received == NOW + 17
    assert decoded([record], NOW + 17) == [sent]


async def test_repeats_are_records_of_their_own(log: EventLog) -> None:
    positions = await log.append([helped(), helped()])
    assert len(set(positions)) == 2
    assert decoded(await records(log)) == [helped(), helped()]


async def test_batches_have_a_size_and_follow_each_other(log: EventLog) -> None:
    await log.append([helped(f"e{n}") for n in range(2 * BATCH_SIZE + 1)])
    batches = await read(log)
    assert all(len(batch.records) <= BATCH_SIZE for batch in batches)
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
        assert again == [record for record in everything if record.offset >= position.offset]
    assert await records(log, await log.ends()) == []


async def test_the_reader_is_told_what_is_committed(log: EventLog) -> None:
    await log.append([helped(f"e{n}") for n in range(3)])
    ends = await log.ends()
    await records(log)
    await log.commit(ends)
    asked: list[dict[int, int]] = []

    async def start_offsets(committed: Mapping[int, int]) -> Mapping[int, int]:
        asked.append(dict(committed))
        return committed

    batches = log.batches(start_offsets)
    async with asyncio.timeout(10):
        assert await anext(batches) is None
    assert asked == [ends]


async def test_many_writers_at_once_get_a_position_each(log: EventLog) -> None:
    calls = [[helped(f"e-{call}-{n}", student_id=f"s-{call % 3}") for n in range(5)] for call in range(40)]
    appended = await asyncio.gather(*[log.append(events) for events in calls])
    by_position = {
        position: sent
        for events, positions in zip(calls, appended, strict=True)
        for sent, position in zip(events, positions, strict=True)
    }
    assert len(by_position) == 200
    found = await records(log)
    assert {place(record): sent for record, sent in zip(found, decoded(found), strict=True)} == by_position
    for positions in appended:  # the events of one call keep their order
        assert [position.offset for position in positions] == sorted(position.offset for position in positions)


async def test_a_call_may_have_thousands_of_events(log: EventLog) -> None:
    events = [helped(f"e{n}", metadata={"cohort_id": "c" * 100, "note": "ü" * 200}) for n in range(2_000)]
    positions = await log.append(events)
    assert len(set(positions)) == 2_000
    assert decoded(await records(log)) == events


async def test_an_idle_reader_says_so_and_wakes_when_something_comes(log: EventLog) -> None:
    batches = batches_from(log)
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
            assert decoded(batch.records) == [helped()]
    assert min(waits) < 1.0


@on_one_machine
async def test_two_readers_both_read_everything(log: EventLog) -> None:
    await log.append([helped(f"e{n}") for n in range(9)])
    ours, theirs = await asyncio.gather(records(log), records(log))
    assert ours == theirs
    assert len(ours) == 9


async def test_a_log_has_a_name_of_its_own(log: EventLog, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    name = await log.log_id()
    assert name == await log.log_id() != ""
    (tmp_path / "other").mkdir()
    async with LOGS[request.node.callspec.params["opened"]](tmp_path / "other", request) as other:
        assert await other.logs.events.log_id() != name


async def test_what_is_committed_is_kept_until_it_moves(log: EventLog) -> None:
    await log.log_id()
    assert set((await log.committed()).values()) == {0}
    await log.append([helped(f"e{n}") for n in range(9)])
    await records(log)
    for number in (5, 9):
        await log.commit(dict.fromkeys(await log.committed(), number))
        assert set((await log.committed()).values()) == {number}
    assert len(await records(log)) == 9


async def test_nobody_works_a_log_that_nobody_reads(log: EventLog) -> None:
    await log.append([helped()])
    assert await log.workers() == []


# ---- one student's events


async def test_a_students_events_are_theirs_alone_and_in_order(opened: OpenedLogs, log: EventLog) -> None:
    assert await log.events_of(ADA, scan=True) == []
    others = [helped("x1", student_id="bob"), ELSEWHERE, helped("x3", student_id="ada2")]
    await log.append([helped("e2"), *others, helped("e1")])
    found = await log.events_of(ADA, scan=True)
    assert found is not None
    assert [record.event_id for record in found] == ["e2", "e1"]
    assert found == [record for record in await records(log) if record.event_id in {"e1", "e2"}]
    without_scan = await log.events_of(ADA)
    assert without_scan == (None if opened.stamps else found)


async def test_an_erasure_takes_a_students_events_or_says_how_long_they_stay(opened: OpenedLogs, log: EventLog) -> None:
    await log.append([helped("e1"), helped("x1", student_id="bob"), ELSEWHERE, helped("e2")])
    removed, left = await log.erase(ADA), [record.event_id for record in await records(log)]
    retained = await log.retained_until(NOW)
    if opened.stamps:
        assert (removed, left) == (0, ["e1", "x1", "x2", "e2"])
        topics = ["mastery.requests", "mastery.results", "mastery.events", "mastery.dlq"]
        assert [stay.where for stay in retained] == [f"topic {name}" for name in topics]
        assert all(stay.until is not None and stay.until > NOW + HOUR for stay in retained)
    else:
        assert (removed, left) == (2, ["x1", "x2"])
        assert retained == []
        assert await log.erase(ADA) == 0


async def test_what_must_not_be_kept_is_taken_out_or_stays_until_it_ages(opened: OpenedLogs, log: EventLog) -> None:
    positions = await log.append([helped(f"e{n}") for n in range(4)])
    await log.scrub([positions[0], positions[2]])
    left = [record.event_id for record in await records(log)]
    assert left == (["e0", "e1", "e2", "e3"] if opened.stamps else ["e1", "e3"])


# ---- the purge


@on_one_machine
async def test_a_purge_takes_what_is_old_and_was_worked(log: EventLog) -> None:
    positions = await log.append([helped(f"e{n}", at=NOW + n, received=NOW + n) for n in (-3, -2, -1, 0, 1)])
    await log.commit({positions[2].partition: positions[2].offset})  # the third is still to be worked
    assert await log.purge(NOW) == 2
    assert [record.received - NOW for record in await records(log)] == [-1, 0, 1]
    assert await log.purge(NOW) == 0


@on_one_machine
async def test_positions_are_not_given_twice(log: EventLog) -> None:
    positions = await log.append([helped(f"e{n}") for n in range(3)])
    await log.commit(await log.ends())
    assert await log.purge(NOW + 1) == 3
    (position,) = await log.append([helped("new", at=NOW + 1, received=NOW + 1)])
    assert position.offset > max(before.offset for before in positions)


@on_one_machine
async def test_who_reads_over_a_purged_part_gets_to_the_end(log: EventLog) -> None:
    """As a replay does: it waits for the end that the log had, though nothing may be left of it."""
    await log.append([helped(f"e{n}") for n in range(2 * BATCH_SIZE)])
    await log.commit(await log.ends())
    await log.purge(NOW + 1)
    batches = await read(log)
    assert [record for batch in batches for record in batch.records] == []
    assert batches[-1].ends == await log.ends()
    await log.append([helped("new", at=NOW + 1, received=NOW + 1)])
    assert [record.event_id for record in await records(log)] == ["new"]
