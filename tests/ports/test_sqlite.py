"""What one file promises beyond the suites: it survives, it is shared, it keeps nobody waiting, and it says what is
wrong with it.
"""

import asyncio
import multiprocessing
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mastery_engine.backends.sqlite import logs as sqlite_logs
from mastery_engine.backends.sqlite import migrations
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.migrations import MIGRATIONS
from mastery_engine.backends.sqlite.stores import open_stores
from mastery_engine.domain.cohorts.cohort import Cohort, Due, Naming
from mastery_engine.domain.courses.course import Course
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.people.profile import Profile
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, DocumentKey, StudentKey, pack, pack_ids
from mastery_engine.domain.transition import apply
from mastery_engine.errors import StartRefused, Unavailable
from mastery_engine.ports.audit_log import AuditFilter
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.cohorts import Join
from mastery_engine.ports.courses import StoredCourse
from mastery_engine.ports.documents import DocumentChange
from mastery_engine.ports.people import NO_STORED_PROFILE, ProfileWrite, StoredProfile
from tests.support.calibrated import learned
from tests.support.samples import NOW, TODAY, Clock, helped, logged
from tests.support.small_disk import mounted_small_disk
from tests.support.stores import (
    ADA,
    ADAS,
    BOB,
    BOBS,
    EVE,
    EVES,
    calendars_of,
    everyone,
    job,
    newest,
    record,
    refusal,
    roster,
)

STUDENT = apply(NOBODY, logged([helped()]), NOW, Rules()).student
FRESH = multiprocessing.get_context("spawn")
COURSE = CourseKey("default", "python")
EXAM, ESSAY = Due(TODAY, "loops", "exam", 60), Due(TODAY + 1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "mastery.db")
    yield opened
    await opened.close()


@pytest.fixture
def stores(database: Database) -> Stores:
    return open_stores(database, Clock())


def audits(database: Database) -> int:
    return int(database.read("SELECT count(*) FROM audit")[0][0])


# ---- it survives


async def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "mastery.db"
    stores = open_stores(Database(path), Clock())
    await stores.documents.commit([DocumentChange(ADAS, 0, STUDENT, {1: b"x" * 8})])
    await stores.checkpoints.move("log", {0: 0}, {0: 2}, "")
    await stores.checkpoints.set_flood("log", 3, flooded=True)
    await stores.cohorts.put("default", "py", 0, Cohort("Class", ("ada",), ("eve",), (EXAM,)))
    await stores.cohorts.join([Join(BOB, "py", TODAY), Join(EVE, "py", TODAY)])
    await stores.audit_log.append([record()])
    await stores.refusals.put([refusal()])
    await stores.jobs.put(job())
    await stores.calibrations.put(COURSE, learned(NOW, 310))
    await stores.courses.put(COURSE, 0, Course("Python"))
    await stores.people.write([ProfileWrite(ADA, NO_STORED_PROFILE, Profile("Ada"))])
    await stores.connection.close()

    stores = open_stores(Database(path), Clock())
    (stored,) = await stores.documents.load([ADAS])
    assert stored is not None
    assert (stored.version, stored.student) == (1, STUDENT)
    assert await stores.documents.load_cold([ADAS]) == [{1: b"x" * 8}]
    assert (await stores.checkpoints.read("log")).offsets == {0: 2}
    assert await stores.checkpoints.floods("log") == {3}
    assert (await roster(stores.cohorts)).members == {"ada", "bob"}
    assert await newest(stores) == [record()]
    assert await stores.refusals.of(ADA) == [refusal()]
    assert await stores.jobs.open() == [job()]
    assert await stores.calibrations.get(COURSE) == learned(NOW, 310)
    assert await stores.courses.load([COURSE]) == [StoredCourse(1, Course("Python"))]
    assert await stores.people.load([ADA]) == [StoredProfile(1, Profile("Ada"))]
    await stores.connection.close()


async def test_stores_and_logs_share_one_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "mastery.db")
    stores, logs = open_stores(database, Clock()), sqlite_logs.open_logs(database)
    await logs.events.append([helped("1")])
    await stores.documents.commit([DocumentChange(ADAS, 0, STUDENT)])
    assert {file.name for file in os.scandir(tmp_path)} == {"mastery.db", "mastery.db-shm", "mastery.db-wal"}
    await stores.connection.close()
    await logs.connection.close()  # the file is one and the same
    with pytest.raises(Unavailable):
        await logs.connection.ping()


async def test_what_waits_is_written_before_it_closes(tmp_path: Path) -> None:
    stores = open_stores(Database(tmp_path / "mastery.db"), Clock())
    writes = [asyncio.ensure_future(stores.audit_log.append([record(number)])) for number in range(300)]
    await asyncio.sleep(0)
    await stores.connection.close()
    await asyncio.gather(*writes)
    with sqlite3.connect(tmp_path / "mastery.db") as connection:
        assert connection.execute("SELECT count(*) FROM audit").fetchone() == (300,)
    connection.close()


async def test_after_closing_it_is_unavailable(tmp_path: Path) -> None:
    database = Database(tmp_path / "mastery.db")
    stores = open_stores(database, Clock())
    await stores.connection.close()
    calls = (
        stores.documents.load([ADAS]),
        stores.documents.load([ADAS] * 200),
        stores.cohorts.roster("default", "py", since=0),
        stores.audit_log.append([record()]),
        stores.connection.ping(),
        database.scrub(),
    )
    for call in calls:
        with pytest.raises(Unavailable):
            await call


async def test_what_is_acknowledged_was_written_through_to_the_disk(database: Database) -> None:
    """No test here can pull the plug; SQLite's FULL is what makes a commit outlive that."""
    full = await database.write(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
    assert full == (2,)


# ---- it is shared


def opens_and_writes(path: Path, number: int, start: Any, told: Any) -> None:
    """Open the file at the same time as others, then write documents, joins and audit records beside them."""

    async def write() -> int:
        stores = open_stores(Database(path), Clock())
        won = 0
        for turn in range(25):
            (stored,) = await stores.documents.load([ADAS])
            (took,) = await stores.documents.commit([DocumentChange(ADAS, stored.version if stored else 0, STUDENT)])
            won += took
            await stores.cohorts.join([Join(StudentKey("default", f"s-{number}-{turn}"), "py", TODAY)])
            await stores.audit_log.append([record(number)])
        await stores.connection.close()
        return won

    start.wait()
    told.put(asyncio.run(write()))


async def test_processes_that_open_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path, start, told = tmp_path / "mastery.db", FRESH.Barrier(3), FRESH.Queue()
    writers = [FRESH.Process(target=opens_and_writes, args=(path, number, start, told)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        await asyncio.to_thread(writer.join)
        assert writer.exitcode == 0
    won = [told.get(True, 10) for _ in writers]
    database = Database(path)
    stores = open_stores(database, Clock())
    assert await stores.documents.versions([ADAS]) == [sum(won)]
    joined = {f"s-{number}-{turn}" for number in range(3) for turn in range(25)}
    assert (await roster(stores.cohorts)).joined == joined
    assert audits(database) == 75
    await database.close()


async def test_a_file_held_by_another_is_waited_for(database: Database, stores: Stores) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    write = asyncio.ensure_future(stores.audit_log.append([record()]))
    await asyncio.sleep(0.1)
    assert not write.done()
    assert audits(database) == 0  # readers do not wait
    assert await newest(stores) == []
    other.execute("COMMIT")
    other.close()
    async with asyncio.timeout(10):
        await write
    assert audits(database) == 1


# ---- it keeps nobody waiting


async def turns_during(call: Awaitable[Any]) -> int:
    """How often the loop has turned until a call was answered."""
    answer, turns = asyncio.ensure_future(call), 0
    while not answer.done():
        turns += 1
        await asyncio.sleep(0)
    await answer
    return turns


async def test_the_loop_turns_while_much_is_read(stores: Stores) -> None:
    keys = [DocumentKey("default", f"s{number:05}") for number in range(20_000)]
    await stores.cohorts.join([Join(key, "py", TODAY) for key in keys])
    await stores.cohorts.put("default", "py", 0, Cohort("Class", tuple(key.student_id for key in keys), (), (EXAM,)))
    await stores.documents.commit([DocumentChange(key, 0, STUDENT, {1: b"x" * 8}) for key in keys[:5_000]])
    await stores.audit_log.append([record(number) for number in range(5_000)])
    reads: dict[str, Callable[[], Awaitable[Any]]] = {
        "roster": lambda: stores.cohorts.roster("default", "py", since=TODAY),
        "versions": lambda: stores.documents.versions(keys),
        "documents": lambda: stores.documents.load(keys[:5_000]),
        "cold ids": lambda: stores.documents.load_cold(keys[:5_000]),
        "students": lambda: everyone(stores.documents),
        "audit": lambda: stores.audit_log.page("default", AuditFilter(subject="user-1"), limit=500),
    }
    for name, read in reads.items():
        assert await turns_during(read()) > 2, f"the loop stood still while it read {name}"


async def test_a_few_documents_are_read_without_another_thread(stores: Stores) -> None:
    await stores.documents.commit([DocumentChange(ADAS, 0, STUDENT)])
    await stores.cohorts.put("default", "py", 0, Cohort("Class", ("ada",), (), (EXAM,)))
    for call in (
        stores.documents.load([ADAS]),
        stores.documents.load([ADAS, BOBS, EVES]),
        stores.documents.load_cold([ADAS, BOBS, EVES]),
        stores.documents.versions([ADAS, BOBS]),
        stores.cohorts.put_into(ADA),
        calendars_of(stores.cohorts, ADA, ["py", "go"], since=TODAY),
        stores.checkpoints.read("log"),
        stores.refusals.find(ADA, "e-1"),
    ):
        assert await turns_during(call) == 1


async def test_what_was_written_is_seen_by_all_that_is_read_afterwards(stores: Stores) -> None:
    keys = [DocumentKey("default", f"s{number}") for number in range(20)]
    for version in range(100):
        assert await stores.documents.commit([DocumentChange(key, version, STUDENT) for key in keys]) == [True] * 20
        await stores.cohorts.join([Join(StudentKey("default", f"j{version}"), "py", TODAY)])
        found, now = await asyncio.gather(stores.documents.versions(keys), roster(stores.cohorts))
        assert found == [version + 1] * 20
        assert len(now.joined) == version + 1


async def test_a_scrub_goes_through_while_others_read_one_thing_after_another(
    database: Database, stores: Stores
) -> None:
    keys = [DocumentKey("default", f"s{number}") for number in range(3_000)]
    await stores.cohorts.join([Join(key, "py", TODAY) for key in keys])
    is_over = False

    async def reads() -> int:
        count = 0
        while not is_over:
            assert len((await roster(stores.cohorts)).joined) == 3_000
            count += 1
        return count

    readers = [asyncio.ensure_future(reads()) for _ in range(4)]
    for _ in range(10):
        await database.scrub()
    is_over = True
    assert sum(await asyncio.gather(*readers)) > 0


async def test_a_query_that_fails_is_unavailable_and_the_next_one_goes(database: Database) -> None:
    with pytest.raises(Unavailable):
        await database.fetch("SELECT * FROM nowhere")
    assert await database.fetch("SELECT ? + 1", (1,)) == [(2,)]


# ---- one transaction for many


async def test_writes_that_wait_go_into_few_transactions(database: Database, stores: Stores) -> None:
    transactions: list[str] = []
    await database.write(lambda connection: connection.set_trace_callback(transactions.append))
    await asyncio.gather(*[stores.audit_log.append([record(number)]) for number in range(400)])
    await database.write(lambda connection: connection.set_trace_callback(None))
    begun = [statement for statement in transactions if statement.startswith("BEGIN")]
    assert 1 <= len(begun) <= 20
    assert audits(database) == 400


async def test_a_job_that_fails_takes_no_other_with_it(database: Database, stores: Stores) -> None:
    def half_done(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit")
        raise ValueError("on purpose")

    def no_such_table(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM audit")
        connection.execute("INSERT INTO nowhere VALUES (1)")

    done = await asyncio.gather(
        stores.audit_log.append([record(0)]),
        database.write(half_done),
        stores.audit_log.append([record(1)]),
        database.write(no_such_table),
        stores.audit_log.append([record(2)]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in done] == [type(None), ValueError, type(None), Unavailable, type(None)]
    assert audits(database) == 3
    await stores.audit_log.append([record(3)])
    assert audits(database) == 4


async def test_a_caller_that_gave_up_disturbs_no_other(database: Database, stores: Stores) -> None:
    writes = [asyncio.ensure_future(stores.audit_log.append([record(number)])) for number in range(20)]
    await asyncio.sleep(0)
    for write in writes[::2]:
        write.cancel()
    done = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(outcome) for outcome in done[1::2]] == [type(None)] * 10
    await stores.audit_log.append([record(99)])
    assert audits(database) >= 11


async def test_a_reader_that_gave_up_disturbs_no_other(stores: Stores) -> None:
    await stores.cohorts.join([Join(StudentKey("default", f"s{number}"), "py", TODAY) for number in range(3_000)])
    reads = [asyncio.ensure_future(roster(stores.cohorts)) for _ in range(20)]
    await asyncio.sleep(0)
    for read in reads[::2]:
        read.cancel()
    done = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in done] == ["CancelledError", "Roster"] * 10


# ---- its schema


def made_by_an_older_engine(path: Path, version: int) -> sqlite3.Connection:
    """A file with the schema of a version."""
    connection = sqlite3.connect(path, isolation_level=None)
    for step in MIGRATIONS[:version]:
        if isinstance(step, str):
            connection.executescript(step)
        else:
            step(connection)
    connection.execute(f"PRAGMA user_version = {version}")
    return connection


def older_body(cohort: Cohort) -> tuple[object, ...]:
    """A cohort as it was written before it had teachers and a course."""
    return (cohort.name, cohort.put, cohort.out, cohort.calendar)


async def test_documents_that_are_there_are_those_of_the_default_course_after_the_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "mastery.db"
    with made_by_an_older_engine(path, 4) as older:
        older.execute("INSERT INTO documents VALUES ('default', 'ada', 7, ?)", (pack(STUDENT),))
        older.execute("INSERT INTO cold_ids VALUES ('default', 'ada', ?)", (pack_ids({1: b"x" * 8}),))
    older.close()
    stores = open_stores(Database(path), Clock())
    (courses,) = await stores.documents.of_students([ADA])
    assert {course_id: (held.version, held.student) for course_id, held in courses.items()} == {"default": (7, STUDENT)}
    assert await stores.documents.load_cold([ADAS]) == [{1: b"x" * 8}]
    assert await stores.documents.commit([DocumentChange(ADAS, 7, None)]) == [True]
    assert await stores.documents.load_cold([ADAS]) == [{}]
    await stores.connection.close()


async def test_calendars_of_cohorts_that_are_there_are_found_after_the_upgrade(tmp_path: Path) -> None:
    path, encode = tmp_path / "mastery.db", msgspec.msgpack.encode
    written = {
        "py": Cohort("Class", ("ada", "bob"), ("eve",), (EXAM, ESSAY)),
        "go": Cohort("Go", (), ("ada",), (ESSAY,)),
        "none": Cohort("None", ("ada",)),
    }
    with made_by_an_older_engine(path, 4) as older:
        for cohort_id, cohort in written.items():
            older.execute("INSERT INTO cohorts VALUES ('default', ?, 7, ?)", (cohort_id, encode(older_body(cohort))))
            for student_id in cohort.put:
                older.execute("INSERT INTO cohort_put VALUES ('default', ?, ?)", (student_id, cohort_id))
            for student_id in ("ada", "eve"):
                older.execute("INSERT INTO cohort_joined VALUES ('default', ?, ?, ?)", (cohort_id, student_id, TODAY))
    older.close()
    stores = open_stores(Database(path), Clock())
    named, expected = ["py", "go", "none"], {"ada": ["py"], "bob": ["py"], "eve": ["go"]}
    for student_id, cohort_ids in expected.items():
        calendars = await calendars_of(stores.cohorts, StudentKey("default", student_id), named, since=TODAY)
        assert calendars == {cohort_id: written[cohort_id].calendar for cohort_id in cohort_ids}
    assert {cohort_id: (await roster(stores.cohorts, cohort_id)).cohort for cohort_id in written} == written
    assert await stores.cohorts.put("default", "go", 7, Cohort("Go", ("ada",), (), (EXAM,)))
    assert (await calendars_of(stores.cohorts, ADA, [], since=TODAY)).keys() == {"py", "go"}
    await stores.cohorts.join([Join(BOB, "py", TODAY, Naming(NOW, "art")), Join(BOB, "new", TODAY, Naming(NOW, "art"))])
    courses = [(await roster(stores.cohorts, cohort_id)).course_id for cohort_id in ("py", "new")]
    assert courses == ["default", "art"], "what events said before courses, they said of the default one"
    await stores.connection.close()


class Overtaken(sqlite3.Connection):
    """Between its look at the version of a file and its first step another process does all steps."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        answer = super().execute(sql, *values)
        if sql == "PRAGMA synchronous = NORMAL":
            _, _, path = super().execute("PRAGMA database_list").fetchone()
            with sqlite3.connect(path, isolation_level=None) as first:
                migrations.migrate(first, Path(path))
                first.execute("INSERT INTO documents VALUES ('default', 'eve', 'art', 1, x'00')")
            first.close()
        return answer


@pytest.mark.parametrize("version", range(len(MIGRATIONS)))
def test_whoever_upgrades_a_file_second_does_no_step_again(tmp_path: Path, version: int) -> None:
    path = tmp_path / "mastery.db"
    made_by_an_older_engine(path, version).close()
    connection = sqlite3.connect(path, isolation_level=None, factory=Overtaken)
    migrations.migrate(connection, path)
    assert connection.execute("SELECT student_id, course_id FROM documents").fetchall() == [("eve", "art")]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


async def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mastery.db"
    await filled(path)

    def half_done(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE later (id INTEGER) STRICT")
        connection.execute("DELETE FROM documents")
        connection.execute("INSERT INTO nowhere VALUES (1)")

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, half_done))
        with pytest.raises(StartRefused, match="nowhere"):
            Database(path)
    database = Database(path)
    assert database.read("SELECT count(*) FROM documents") == [(500,)]
    assert database.read("SELECT count(*) FROM sqlite_master WHERE name = 'later'") == [(0,)]
    await database.close()


# ---- it says what is wrong with it


def snapshot(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def filled(path: Path) -> None:
    stores = open_stores(Database(path), Clock())
    keys = [DocumentKey("default", f"s{number}") for number in range(500)]
    await stores.documents.commit([DocumentChange(key, 0, STUDENT) for key in keys])
    await stores.connection.close()


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


async def test_a_file_that_breaks_while_it_is_open_is_unavailable_and_breaks_nothing_else(
    database: Database, stores: Stores
) -> None:
    await database.write(lambda connection: connection.execute("DROP TABLE audit"))
    with pytest.raises(Unavailable):
        await newest(stores, limit=1)
    with pytest.raises(Unavailable):
        await stores.audit_log.append([record()])
    assert await stores.documents.commit([DocumentChange(ADAS, 0, STUDENT)]) == [True]


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


async def test_the_writer_survives_a_disk_that_fails_it(
    database: Database, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(database, "_writer", Broken(database._writer))
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable):
                await stores.audit_log.append([record(0)])
    async with asyncio.timeout(5):
        await stores.audit_log.append([record(1)])
    assert await newest(stores) == [record(1)]


# ---- a full disk


async def test_a_full_disk_keeps_what_was_acknowledged_and_takes_more_once_there_is_room(tmp_path: Path) -> None:
    with mounted_small_disk(tmp_path) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 2_000_000)
        stores = open_stores(Database(disk / "mastery.db"), Clock())
        kept: list[DocumentKey] = []
        said = ""
        for call in range(1_000):
            keys = [DocumentKey("default", f"s-{call}-{number}") for number in range(20)]
            try:
                await stores.documents.commit([DocumentChange(key, 0, STUDENT, {1: b"x" * 800}) for key in keys])
            except Unavailable as refused:
                said = refused.message
                break
            kept += keys
        assert "disk is full" in said
        assert 0 < len(kept) < 20_000
        # With a little room again: reading works, a call of several documents is kept wholly or not at all.
        os.truncate(ballast, 2_000_000 - 65_536)
        assert sorted(await everyone(stores.documents)) == sorted(kept)
        assert await stores.documents.load_cold(kept) == [{1: b"x" * 800}] * len(kept)
        keys = [DocumentKey("default", f"s{number}") for number in range(5_000)]
        with pytest.raises(Unavailable, match="disk is full"):
            await stores.documents.commit([DocumentChange(key, 0, STUDENT, {1: b"x" * 80}) for key in keys])
        assert await stores.documents.load(keys) == [None] * 5_000

        ballast.unlink()
        assert await stores.documents.commit([DocumentChange(ADAS, 0, STUDENT)]) == [True]
        await stores.connection.close()
        database = Database(disk / "mastery.db")
        assert sorted(await everyone(open_stores(database, Clock()).documents)) == sorted([*kept, ADAS])
        assert database.read("PRAGMA integrity_check") == [("ok",)]
        await database.close()


# ---- it is private


async def test_a_new_file_and_those_beside_it_are_for_this_user_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        database = Database(tmp_path / "mastery.db")
    finally:
        os.umask(before)
    await open_stores(database, Clock()).audit_log.append([record()])
    rights = {file.name: file.stat().st_mode & 0o777 for file in os.scandir(tmp_path)}
    await database.close()
    assert rights == dict.fromkeys(("mastery.db", "mastery.db-wal", "mastery.db-shm"), 0o600)
