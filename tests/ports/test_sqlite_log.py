"""What the logs in one file promise beyond the suites: they survive, they are shared, and they keep nobody waiting."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.joined_blobs import FEW
from mastery_engine.backends.sqlite.logs import open_logs
from mastery_engine.domain.events.event import LearningEvent, encode
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Logs
from mastery_engine.ports.event_log import Position
from tests.support.logs import batches_from, letter, read, records, updated
from tests.support.samples import NOW, helped
from tests.support.small_disk import mounted_small_disk

ADA = StudentKey("default", "ada")
FRESH = multiprocessing.get_context("spawn")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "mastery.db")
    yield opened
    await opened.close()


# ---- what was decoded is not decoded again


async def append(logs: Logs, *event_ids: str) -> None:
    """Append documents that this process decoded."""
    events = [helped(event_id) for event_id in event_ids]
    await logs.events.append(events, values=[encode(event) for event in events])


async def events_read(logs: Logs) -> list[LearningEvent | None]:
    return [record.event for record in await records(logs.events)]


async def test_a_record_brings_its_event_once_and_where_it_was_appended(database: Database) -> None:
    logs, others = open_logs(database), open_logs(database)
    await append(logs, "1", "2")
    assert await events_read(others) == [None, None]
    assert await events_read(logs) == [helped("1"), helped("2")]
    assert await events_read(logs) == [None, None]


async def test_a_record_that_is_gone_by_now_does_not_come(database: Database) -> None:
    logs = open_logs(database)
    await append(logs, "1", "2", "3")
    await open_logs(database).events.scrub([Position(0, 2)])
    assert [(record.event_id, record.event) for record in await records(logs.events)] == [("1", None), ("3", None)]


async def test_what_is_taken_out_of_the_log_is_not_held_beside_it(database: Database) -> None:
    logs = open_logs(database)
    await append(logs, "1", "2")
    await logs.events.scrub([Position(0, 1)])
    assert await events_read(logs) == [None]
    await append(logs, "3")
    await logs.events.erase(StudentKey("default", "bob"))
    assert await events_read(logs) == [None, None]


async def test_of_a_backlog_few_events_are_held(database: Database) -> None:
    logs = open_logs(database, batch_size=2)
    for number in range(6):
        await append(logs, str(number))
    assert await events_read(logs) == [helped("0"), helped("1"), helped("2"), helped("3"), None, None]
    await append(logs, "6")
    assert (await records(logs.events, {0: 7}))[0].event == helped("6")


# ---- they survive


async def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "mastery.db"
    logs = open_logs(Database(path))
    log_id = await logs.events.log_id()
    await logs.events.append([helped("1"), helped("2")])
    await logs.events.commit({0: 2})
    await logs.results.publish([updated()])
    await logs.dead_letters.append([letter()])
    await logs.consents.put_all({"hash": b"said"}, NOW)
    await logs.connection.close()

    database = Database(path)
    logs = open_logs(database)
    assert await logs.events.log_id() == log_id
    assert [record.event_id for record in await records(logs.events)] == ["1", "2"]
    assert await logs.events.committed() == {0: 2}
    assert len(await logs.dead_letters.page()) == 1
    assert [(record.name, record.value, record.at) for record in (await logs.consents.read(0))[0]] == [
        ("hash", b"said", NOW)
    ]
    await logs.results.publish([updated()])
    assert database.read("SELECT count(*) FROM results") == [(1,)]
    await logs.connection.close()


async def test_after_closing_they_are_unavailable(tmp_path: Path) -> None:
    logs = open_logs(Database(tmp_path / "mastery.db"))
    await logs.connection.close()
    for call in (
        logs.events.append([helped()]),
        logs.events.ends(),
        logs.events.events_of(ADA),
        logs.results.publish([updated()]),
        logs.dead_letters.page(),
        logs.consents.read(0),
        logs.connection.ping(),
    ):
        with pytest.raises(Unavailable):
            await call


def killed_while_writing(path: Path, told: Any) -> None:
    """Append one event after another, telling of each that was acknowledged, until killed."""

    async def write() -> None:
        log = open_logs(Database(path)).events
        for number in range(100_000):
            await log.append([helped(f"e{number}")])
            told.send(number)

    asyncio.run(write())


async def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "mastery.db"
    ours, theirs = FRESH.Pipe(duplex=False)
    writer = FRESH.Process(target=killed_while_writing, args=(path, theirs))
    writer.start()
    theirs.close()
    while ours.recv() < 40:
        pass
    writer.kill()
    writer.join()
    last = 40
    try:
        while True:
            last = ours.recv()
    except EOFError:
        pass
    ours.close()
    database = Database(path)
    found = [record.event_id for record in await records(open_logs(database).events)]
    await database.close()
    assert found[: last + 1] == [f"e{n}" for n in range(last + 1)]
    assert len(found) <= last + 2  # one more may have been written and not told


async def test_a_purge_of_what_is_old_leaves_the_file_sound(database: Database) -> None:
    log = open_logs(database).events
    await log.append([helped(f"e{n}", at=NOW - DAY, received=NOW - DAY) for n in range(500)])
    await log.commit(await log.ends())
    assert await log.purge(NOW) == 500
    assert database.read("PRAGMA integrity_check") == [("ok",)]


async def test_an_erasure_leaves_no_byte_of_a_student(database: Database) -> None:
    """The events' part comes last: with it goes what the other parts have deleted."""
    logs = open_logs(database)
    for name in ("somebody-erased", "somebody-else"):
        await logs.events.append([helped(f"e{n}", student_id=name) for n in range(50)])
        await logs.results.publish([updated(student_id=name)])
        await logs.dead_letters.append([letter(len(name), student_id=name, key=name.encode(), value=name.encode())])
    key = StudentKey("default", "somebody-erased")
    assert await logs.results.erase(key) == 1
    assert await logs.dead_letters.erase(key) == 1
    assert await logs.events.erase(key) == 50
    held = b"".join(file.read_bytes() for file in database.path.parent.iterdir())
    assert b"somebody-else" in held
    assert b"somebody-erased" not in held


# ---- they are shared


def opens_and_appends(path: Path, number: int, start: Any, told: Any) -> None:
    """Open the file at the same time as others, then append events and dead letters beside them."""

    async def write() -> list[int]:
        logs, offsets = open_logs(Database(path)), []
        for turn in range(25):
            positions = await logs.events.append([helped(f"e-{number}-{turn}-{k}") for k in range(3)])
            offsets += [position.offset for position in positions]
            await logs.dead_letters.append([letter(turn, partition=number)])
        await logs.connection.close()
        return offsets

    start.wait()
    told.put(asyncio.run(write()))


async def test_processes_that_open_and_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path, start, told = tmp_path / "mastery.db", FRESH.Barrier(3), FRESH.Queue()
    writers = [FRESH.Process(target=opens_and_appends, args=(path, n, start, told)) for n in range(3)]
    for writer in writers:
        writer.start()
    offsets = [offset for _ in writers for offset in await asyncio.to_thread(told.get, True, 60)]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    logs = open_logs(Database(path))
    assert len(set(offsets)) == len(offsets) == 3 * 25 * 3
    assert sorted(record.offset for record in await records(logs.events)) == sorted(offsets)
    assert len(await logs.dead_letters.page(limit=1_000)) == 75
    await logs.connection.close()


async def test_another_connections_events_are_found_soon(tmp_path: Path) -> None:
    ours, theirs = open_logs(Database(tmp_path / "mastery.db")), open_logs(Database(tmp_path / "mastery.db"))

    async def start_offsets(committed: Mapping[int, int]) -> Mapping[int, int]:
        return committed

    batches = ours.events.batches(start_offsets)
    async with asyncio.timeout(10):
        waiting = asyncio.ensure_future(anext(batches))
        await theirs.events.append([helped()])
        while (batch := await waiting) is None or not batch.records:
            waiting = asyncio.ensure_future(anext(batches))
    assert batch.records[0].event_id == "e-1"
    await batches.aclose()  # type: ignore[attr-defined]
    await ours.connection.close()
    await theirs.connection.close()


# ---- they keep nobody waiting


async def turns_during(reading: Awaitable[Any]) -> int:
    """How often the loop comes to other work while something is read."""
    task, turns = asyncio.ensure_future(reading), 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    await task
    return turns


async def _all_pages(logs: Logs) -> None:
    async for _ in logs.events.pages():
        pass


async def test_the_loop_goes_on_while_much_is_read(database: Database) -> None:
    logs = open_logs(database, batch_size=10_000)
    await logs.events.append([helped(f"e{n}", metadata={"note": "x" * 200}) for n in range(10_000)])
    letters = [letter(n, value=b"x" * 1_000) for n in range(1_200)]
    await logs.dead_letters.append(letters)
    await asyncio.gather(*[logs.consents.put_all({f"student-{n}": b"x" * 100}, NOW) for n in range(5_000)])
    for reading in (
        anext(batches_from(logs.events)),
        _all_pages(logs),
        logs.events.events_of(ADA),
        logs.dead_letters.page(limit=1_000),
        logs.consents.read(0),
    ):
        assert await turns_during(reading) > 3


async def test_many_rows_are_read_as_few_are(database: Database) -> None:
    """Bytes of all kinds, none at all, and what is longer than one reading of the file."""
    logs = open_logs(database, batch_size=5 * FEW)
    contents = [None, b"", b"\x00", b"\xff\xfe", "größe".encode(), b'{"a": "\\u0000"}', bytes(range(256))]
    letters = [
        letter(
            n,
            key=contents[n % 7],
            value=contents[n % 5],
            headers={"x": "a\x00b" if n % 2 else 'ü"'},
            student_id=None if n % 3 else "a\x00\u2028",
            event_id=None if n % 4 else f"e-{n}",
        )
        for n in range(2 * FEW + 1)
    ]
    await logs.dead_letters.append(letters)
    kept = await logs.dead_letters.page(limit=10_000)
    assert [msgspec.structs.replace(each, letter_id=0) for each in kept] == letters
    assert kept == [await logs.dead_letters.find(each.letter_id) for each in kept]
    assert await logs.dead_letters.page(after=kept[2].letter_id, limit=FEW + 7) == kept[3 : FEW + 10]

    await logs.dead_letters.redrive([each.letter_id for each in kept], NOW)
    (batch,) = await read(logs.events)
    assert [(record.key, record.value, record.event_id) for record in batch.records] == [
        (each.key, each.value, each.event_id or "") for each in letters
    ]
    assert batch.records == tuple(await records(open_logs(database, batch_size=FEW).events))
    assert list(batch.records) == [record async for page in logs.events.pages() for record in page]
    held = await logs.events.events_of(StudentKey("default", "\x00"))
    assert held == [record for record in batch.records if record.key == b"\x00"]


async def test_a_few_records_are_read_without_another_thread(database: Database) -> None:
    """A class that answers now and then is not kept waiting for one."""
    log = open_logs(database).events
    await log.append([helped(f"e{n}") for n in range(FEW)])
    assert await turns_during(anext(batches_from(log, {0: 1}))) == 1


# ---- a full disk


async def test_a_full_disk_keeps_what_was_acknowledged_and_takes_more_once_there_is_room(tmp_path: Path) -> None:
    with mounted_small_disk(tmp_path) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 2_000_000)
        logs = open_logs(Database(disk / "mastery.db"), batch_size=10_000)
        log = logs.events
        kept: list[str] = []
        said = ""
        for call in range(1_000):
            ids = [f"e-{call}-{n}" for n in range(20)]
            try:
                await log.append([helped(name, metadata={"note": "x" * 200}) for name in ids])
            except Unavailable as refused:
                said = refused.message
                break
            kept += ids
        assert "disk is full" in said
        assert 0 < len(kept) < 20_000
        # As long as it is full: reading works, and a call of several events is kept wholly or not at all.
        assert [record.event_id for record in await records(log)] == kept
        outcomes = await asyncio.gather(
            *[log.append([helped(f"big-{n}", metadata={"note": "x" * 200})] * 2_000) for n in range(2)],
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]

        ballast.unlink()
        ids = ["after", "after-2"]
        assert len(await log.append([helped(name) for name in ids])) == 2
        assert [record.event_id for record in await records(log)] == kept + ids
        await logs.connection.close()
        database = Database(disk / "mastery.db")
        assert [record.event_id for record in await records(open_logs(database, batch_size=10_000).events)] == [
            *kept,
            *ids,
        ]
        assert database.read("PRAGMA integrity_check") == [("ok",)]
        await database.close()


async def test_a_ping_changes_nothing(database: Database) -> None:
    logs = open_logs(database)
    await logs.events.append([helped()])
    await logs.events.commit({0: 2})
    before = list(database.read("SELECT * FROM log")), await logs.events.ends()
    await logs.connection.ping()
    assert (list(database.read("SELECT * FROM log")), await logs.events.ends()) == before


async def test_a_full_disk_is_seen_by_the_ping(tmp_path: Path) -> None:
    """It writes: whoever asks whether the service is ready hears that it could keep nothing."""
    with mounted_small_disk(tmp_path) as disk:
        logs = open_logs(Database(disk / "mastery.db"))
        await logs.connection.ping()
        with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"x" * 4_096)
        for _ in range(2):
            with pytest.raises(Unavailable, match="disk is full") as told:
                await logs.connection.ping()
            assert not any(words in told.value.message for words in ("this call", "again"))  # there was no call
        (disk / "ballast").unlink()
        await logs.connection.ping()
        await logs.connection.close()
