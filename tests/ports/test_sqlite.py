"""What one file promises beyond the suites: it survives, it is shared, and it says what is wrong with it."""

import asyncio
import multiprocessing
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.backends.sqlite.database import MIGRATIONS, Database
from mastery_engine.backends.sqlite.event_log import SqliteLog
from mastery_engine.backends.sqlite.store import SqliteStore
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, StudentKey
from mastery_engine.domain.transition import apply
from mastery_engine.errors import StartRefused, Unavailable
from mastery_engine.ports.documents import Change
from tests.ports.test_event_log import letter, records, updated
from tests.ports.test_store import record
from tests.support.samples import NOW, helped, logged

ADA = StudentKey("default", "ada")
STUDENT = apply(NOBODY, logged([helped()]), NOW, Rules()).student
FRESH = multiprocessing.get_context("spawn")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "mastery.db")
    yield opened
    await opened.close()


def audits(database: Database) -> int:
    return int(database.read("SELECT count(*) FROM audit")[0][0])


# ---- it survives


async def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "mastery.db"
    database = Database(path)
    store, log = SqliteStore(database), SqliteLog(database)
    log_id = await log.log_id()
    await log.append([helped("1"), helped("2")])
    await log.commit({0: 2})
    await log.publish([updated()])
    await log.bury([letter()])
    await store.commit([Change(ADA, 0, STUDENT, {1: b"x" * 8})])
    await store.move_marks(log_id, {0: 0}, {0: 2}, "")
    await store.audit([record()])
    await store.close()
    await log.close()  # the file is one and the same

    database = Database(path)
    store, log = SqliteStore(database), SqliteLog(database)
    (held,) = await store.load([ADA])
    assert held is not None
    assert (held.version, held.student) == (1, STUDENT)
    assert await store.load_cold([ADA]) == [{1: b"x" * 8}]
    assert (await store.marks(log_id)).offsets == {0: 2}
    assert await store.audited("default", limit=9) == [record()]
    assert await log.log_id() == log_id
    assert [one.event_id for one in await records(log)] == ["1", "2"]
    assert await log.committed() == {0: 2}
    assert len(await log.dead_letters()) == 1
    await log.publish([updated()])
    assert database.read("SELECT count(*) FROM results") == [(1,)]
    await database.close()


async def test_what_waits_is_written_before_it_closes(tmp_path: Path) -> None:
    database = Database(tmp_path / "mastery.db")
    store = SqliteStore(database)
    writes = [asyncio.ensure_future(store.audit([record(n)])) for n in range(300)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*writes)
    with sqlite3.connect(tmp_path / "mastery.db") as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (300,)
    connection.close()


async def test_after_closing_it_is_unavailable(tmp_path: Path) -> None:
    database = Database(tmp_path / "mastery.db")
    store = SqliteStore(database)
    await database.close()
    for call in (store.load([ADA]), store.audit([record()]), store.ping(), SqliteLog(database).append([helped()])):
        with pytest.raises(Unavailable):
            await call


def killed_while_writing(path: Path, told: Any) -> None:
    """Append one event after another, telling of each that was acknowledged, until killed."""

    async def write() -> None:
        log = SqliteLog(Database(path))
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
    found = [one.event_id for one in await records(SqliteLog(database))]
    await database.close()
    assert found[: last + 1] == [f"e{n}" for n in range(last + 1)]
    assert len(found) <= last + 2  # one more may have been written and not told


async def test_what_is_acknowledged_was_written_through_to_the_disk(database: Database) -> None:
    """No test here can pull the plug; SQLite's FULL is what makes a commit outlive that."""
    full = await database.write(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
    assert full == (2,)


# ---- it is shared


def opens_and_writes(path: Path, number: int, start: Any, told: Any) -> None:
    """Open the file at the same time as others, then write documents, events and audit records beside them."""

    async def write() -> tuple[int, list[int]]:
        database = Database(path)
        store, log = SqliteStore(database), SqliteLog(database)
        won, offsets = 0, []
        for turn in range(25):
            (held,) = await store.load([ADA])
            (took,) = await store.commit([Change(ADA, held.version if held else 0, STUDENT)])
            won += took
            offsets += [one.offset for one in await log.append([helped(f"e-{number}-{turn}-{k}") for k in range(3)])]
            await store.audit([record(number)])
        await database.close()
        return won, offsets

    start.wait()
    told.put(asyncio.run(write()))


async def test_processes_that_open_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path, start, told = tmp_path / "mastery.db", FRESH.Barrier(3), FRESH.Queue()
    writers = [FRESH.Process(target=opens_and_writes, args=(path, n, start, told)) for n in range(3)]
    for writer in writers:
        writer.start()
    answers = [await asyncio.to_thread(told.get, True, 60) for _ in writers]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    database = Database(path)
    (held,) = await SqliteStore(database).load([ADA])
    assert held is not None
    assert held.version == sum(won for won, _ in answers)
    offsets = [offset for _, theirs in answers for offset in theirs]
    assert len(set(offsets)) == len(offsets) == 3 * 25 * 3
    found = await records(SqliteLog(database))
    assert sorted(one.offset for one in found) == sorted(offsets)
    assert audits(database) == 75
    await database.close()


async def test_another_connections_events_are_found_soon(tmp_path: Path) -> None:
    ours, theirs = Database(tmp_path / "mastery.db"), Database(tmp_path / "mastery.db")

    async def where(committed: Any) -> Any:
        return committed

    batches = SqliteLog(ours).batches(where)
    async with asyncio.timeout(10):
        waiting = asyncio.ensure_future(anext(batches))
        await SqliteLog(theirs).append([helped()])
        while (batch := await waiting) is None or not batch.records:
            waiting = asyncio.ensure_future(anext(batches))
    assert batch.records[0].event_id == "e-1"
    await batches.aclose()  # type: ignore[attr-defined]
    await ours.close()
    await theirs.close()


async def test_a_file_held_by_another_is_waited_for(database: Database) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    write = asyncio.ensure_future(SqliteStore(database).audit([record()]))
    await asyncio.sleep(0.1)
    assert not write.done()
    assert audits(database) == 0  # readers do not wait
    other.execute("COMMIT")
    other.close()
    async with asyncio.timeout(10):
        await write
    assert audits(database) == 1


# ---- one transaction for many


async def test_writes_that_wait_go_into_few_transactions(database: Database) -> None:
    transactions: list[str] = []
    await database.write(lambda connection: connection.set_trace_callback(transactions.append))
    store = SqliteStore(database)
    await asyncio.gather(*[store.audit([record(n)]) for n in range(400)])
    await database.write(lambda connection: connection.set_trace_callback(None))
    begun = [statement for statement in transactions if statement.startswith("BEGIN")]
    assert 1 <= len(begun) <= 20
    assert audits(database) == 400


async def test_a_job_that_fails_takes_no_other_with_it(database: Database) -> None:
    store = SqliteStore(database)

    def half_done(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit")
        raise ValueError("on purpose")

    def no_such_table(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit")
        connection.execute("INSERT INTO nowhere VALUES (1)")

    done = await asyncio.gather(
        store.audit([record(0)]),
        database.write(half_done),
        store.audit([record(1)]),
        database.write(no_such_table),
        store.audit([record(2)]),
        return_exceptions=True,
    )
    assert [type(one) for one in done] == [type(None), ValueError, type(None), Unavailable, type(None)]
    assert audits(database) == 3
    await store.audit([record(3)])
    assert audits(database) == 4


async def test_a_caller_that_gave_up_disturbs_no_other(database: Database) -> None:
    store = SqliteStore(database)
    writes = [asyncio.ensure_future(store.audit([record(n)])) for n in range(20)]
    await asyncio.sleep(0)
    for one in writes[::2]:
        one.cancel()
    done = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in done[1::2]] == [type(None)] * 10
    await store.audit([record(99)])
    assert audits(database) >= 11


# ---- it says what is wrong with it


def snapshot(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def filled(path: Path) -> None:
    database = Database(path)
    store = SqliteStore(database)
    await store.commit([Change(StudentKey("default", f"s{n}"), 0, STUDENT) for n in range(500)])
    await database.close()


@pytest.mark.parametrize("content", [b"no database at all\n" * 400, b"SQLite format 3\x00" + b"\xff" * 5_000])
async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mastery.db"
    path.write_bytes(content)
    with pytest.raises(StartRefused, match=r"mastery\.db") as refused:
        Database(path)
    assert "left as it is" in refused.value.message
    assert snapshot(tmp_path) == {"mastery.db": content}


async def test_a_file_that_was_cut_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mastery.db"
    await filled(path)
    cut = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(cut)
    with pytest.raises(StartRefused, match="left as it is"):
        Database(path)
    assert path.read_bytes() == cut


async def test_a_schema_that_is_newer_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mastery.db"
    await filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StartRefused, match=f"schema version {len(MIGRATIONS) + 1}.*knows {len(MIGRATIONS)}"):
        Database(path)
    assert path.read_bytes() == before


async def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="cannot be opened"):
        Database(tmp_path)
    with pytest.raises(StartRefused, match="cannot be opened"):
        Database(tmp_path / "missing" / "mastery.db")


async def test_a_file_that_breaks_while_it_is_open_is_unavailable_and_breaks_nothing_else(database: Database) -> None:
    await database.write(lambda connection: connection.execute("DROP TABLE audit"))
    store = SqliteStore(database)
    with pytest.raises(Unavailable):
        await store.audited("default", limit=1)
    with pytest.raises(Unavailable):
        await store.audit([record()])
    assert await store.commit([Change(ADA, 0, STUDENT)]) == [True]


class Broken:
    """A connection whose commits fail, and whose rollbacks fail too."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str) -> Any:
        if statement in ("COMMIT", "ROLLBACK"):
            self._connection.execute("ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(statement)

    def __getattr__(self, name: str) -> Any:
        return True if name == "in_transaction" else getattr(self._connection, name)


async def test_the_writer_survives_a_disk_that_fails_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(database)
    with monkeypatch.context() as patched:
        patched.setattr(database, "_writer", Broken(database._writer))
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable):
                await store.audit([record(0)])
    async with asyncio.timeout(5):
        await store.audit([record(1)])
    assert await store.audited("default", limit=9) == [record(1)]


# ---- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB of its own, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT TESTED: a full disk, for only root may mount a small one")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def test_a_full_disk_keeps_what_was_acknowledged_and_takes_more_once_there_is_room(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 2_000_000)
    database = Database(small_disk / "mastery.db")
    store, log = SqliteStore(database), SqliteLog(database, batch_size=10_000)
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
    # As long as it is full: reading works, a call of several documents is kept wholly or not at all.
    assert [one.event_id for one in await records(log)] == kept
    keys = [StudentKey("default", f"s{n}") for n in range(5_000)]
    with pytest.raises(Unavailable, match="disk is full"):
        await store.commit([Change(key, 0, STUDENT, {1: b"x" * 80}) for key in keys])
    assert await store.load(keys) == [None] * 5_000
    done = await asyncio.gather(
        *[log.append([helped(f"big-{n}", metadata={"note": "x" * 200})] * 2_000) for n in range(2)],
        return_exceptions=True,
    )
    assert [type(one) for one in done] == [Unavailable, Unavailable]
    await store.ping()

    ballast.unlink()
    ids = ["after", "after-2"]
    assert len(await log.append([helped(name) for name in ids])) == 2
    assert await store.commit([Change(ADA, 0, STUDENT)]) == [True]
    assert [one.event_id for one in await records(log)] == kept + ids
    await database.close()
    reopened = Database(small_disk / "mastery.db")
    assert [one.event_id for one in await records(SqliteLog(reopened, batch_size=10_000))] == kept + ids
    assert reopened.read("PRAGMA integrity_check") == [("ok",)]
    await reopened.close()


async def test_a_purge_of_what_is_old_leaves_the_file_sound(database: Database) -> None:
    log = SqliteLog(database)
    await log.append([helped(f"e{n}", at=NOW - DAY, received=NOW - DAY) for n in range(500)])
    await log.commit(await log.ends())
    assert await log.purge(NOW) == 500
    assert database.read("PRAGMA integrity_check") == [("ok",)]


# ---- it is private


async def test_a_new_file_and_those_beside_it_are_for_this_user_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        database = Database(tmp_path / "mastery.db")
    finally:
        os.umask(before)
    await SqliteStore(database).audit([record()])
    rights = {file.name: file.stat().st_mode & 0o777 for file in os.scandir(tmp_path)}
    await database.close()
    assert rights == dict.fromkeys(("mastery.db", "mastery.db-wal", "mastery.db-shm"), 0o600)
