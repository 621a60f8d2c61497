"""One SQLite file: a writer thread, which writes whatever waits in one transaction (group commit), and a reader thread.

Readers never wait for the writer (WAL). A write is durable when its call returns (``synchronous=FULL``).
"""

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from time import sleep
from typing import Any, TypeVar

from mastery_engine.backends.sqlite.migrations import migrate
from mastery_engine.errors import StartRefused, Unavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")

FILE_NAME = "mastery.db"
SHORTEST = 512
MAX_GROUP = 512
BUSY_TIMEOUT_S = 30.0
WAL_RETRY_S = 0.02
PING_S = 2.0
HELD = "The database is held by another process: nothing was written. Stop that process, or try again."

_Job = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Database:
    """The file, a connection for point reads, and two threads with connections of their own: one writes, one reads."""

    def __init__(self, path: Path) -> None:
        """Open or make the file, and bring its schema up to date. Raises StartRefused where it cannot be used."""
        self.path = path
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        _check_length(path)
        try:
            _keep_private(path)
            self._reader = _connect(path)
            migrate(self._reader, path)
            self._writer = _connect(path)
            self._fetcher = _connect(path)
        except sqlite3.DatabaseError as error:
            raise StartRefused(cannot_open(path, error)) from error
        self._closed = False
        self._wants_lock = False
        self._reads = ThreadPoolExecutor(1, "sqlite-reader")
        self._thread = threading.Thread(target=self._write_all, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``job`` in a transaction that may hold others' jobs too; durable on return. Raises Unavailable."""
        if self._closed:
            raise Unavailable("The database is closed: the service is stopping.")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._jobs.put((job, done, loop))
        return await done

    async def ping(self) -> None:
        """Raises Unavailable, within seconds, where nothing can be written: a full disk, a file that others hold.

        A call waits for longer, since whoever holds the file may let go of it.
        """
        try:
            async with asyncio.timeout(PING_S):
                await self.write(change_and_restore)
        except TimeoutError:
            raise Unavailable(
                "The database is held by another process, so that nothing can be written: stop that process."
                if self._wants_lock
                else f"The disk has not taken a write within {PING_S:g} s: look at its load and its health."
            ) from None

    async def put(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each row; durable on return. Raises Unavailable.

        The cursor stays in the writer's thread: to drop it in another disturbs what that is doing.
        """

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        await self.write(write)

    async def scrub(self) -> None:
        """Leave no byte of what was deleted in the file or beside it: both are written anew. Raises Unavailable.

        It takes as long as the file is large (about a second for 200 MB), and writes wait meanwhile.
        """
        await self.write(_scrubbing)

    def read(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """All rows of a query. A point read takes some 10 µs, less than a hop to another thread, so it runs here."""
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise unavailable(error) from error

    async def fetch(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """All rows of a query that may be large, read in a thread; it sees what was written before. Raises Unavailable.

        Have SQLite make one row of thousands (``json_group_array``): for each row the thread lets go of Python's lock,
        and waits up to 5 ms for it where the loop is busy.
        """
        if self._closed:
            raise Unavailable("The database is closed: the service is stopping.")
        return await asyncio.get_running_loop().run_in_executor(self._reads, self._fetch, query, values)

    def _fetch(self, query: str, values: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
        try:
            return self._fetcher.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise unavailable(error) from error

    async def close(self) -> None:
        """Write what waits, then close."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._reads.shutdown)
        self._writer.close()
        self._fetcher.close()
        self._reader.close()

    def _write_all(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            stop = False
            while len(group) < MAX_GROUP and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    stop = True
                    break
                group.append(following)
            outcomes = self._write_group(group)
            for loop in {id(loop): loop for _, _, loop in group}.values():
                mine = [
                    (done, outcome) for (_, done, owner), outcome in zip(group, outcomes, strict=True) if owner is loop
                ]
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_tell, mine)
            if stop:
                return

    def _write_group(self, group: Sequence[_Job]) -> list[Any]:
        """The jobs' answers, or the error of each; a job that fails takes no other with it."""
        outcomes: list[Any] = []
        if any(job is _scrubbing for job, _, _ in group):
            return self._scrub_between(group)
        try:
            self._wants_lock = True
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            finally:
                self._wants_lock = False
            for job, _, _ in group:
                self._writer.execute("SAVEPOINT job")
                try:
                    outcomes.append(job(self._writer))
                except Exception as error:  # noqa: BLE001  it is the job's caller's
                    if not self._writer.in_transaction:  # where the disk is full SQLite takes all of it back itself
                        return [error] * len(group)
                    outcomes.append(error)
                    self._writer.execute("ROLLBACK TO job")
                self._writer.execute("RELEASE job")
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                with suppress(sqlite3.Error):  # it is rolled back in any case, and the writer must go on
                    self._writer.execute("ROLLBACK")
            return [error] * len(group)
        return outcomes

    def _scrub_between(self, group: Sequence[_Job]) -> list[Any]:
        """The group's writes, then the scrub, which can be in no transaction; its jobs hear of its error."""
        writes = [job for job in group if job[0] is not _scrubbing]
        written = iter(self._write_group(writes) if writes else [])
        scrubbed: Any = None
        try:
            self._writer.execute("VACUUM")
            busy, _, _ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                scrubbed = Unavailable(
                    "Another process reads the database: what was erased is gone, but traces may be in the file. "
                    "Erase again."
                )
        except sqlite3.Error as error:
            scrubbed = error
        return [scrubbed if job is _scrubbing else next(written) for job, _, _ in group]


def change_and_restore(connection: sqlite3.Connection) -> None:
    """SQLite writes no page on which nothing has changed since it was read."""
    connection.execute("UPDATE log SET committed = committed + 1")
    connection.execute("UPDATE log SET committed = committed - 1")


def _scrubbing(_: sqlite3.Connection) -> None:
    """Stands for a scrub among the writer's jobs."""


def _tell(outcomes: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    for done, outcome in outcomes:
        if done.cancelled():
            continue
        if isinstance(outcome, sqlite3.Error):
            done.set_exception(unavailable(outcome))
        elif isinstance(outcome, Exception):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)


def unavailable(error: sqlite3.Error) -> Unavailable:
    """What is wrong with the database, in words that say what to do."""
    code = getattr(error, "sqlite_errorname", "") or ""
    if code == "SQLITE_FULL":
        return Unavailable("The disk is full: nothing was written. Free some room.")
    if code.startswith("SQLITE_BUSY"):
        return Unavailable(HELD)
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return Unavailable("The database file is damaged: nothing was written. Restore a backup of it.")
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return Unavailable(
            "The database cannot be written: nothing was written. Give the service's user the right to write "
            "to DATA_DIR and the files in it, on a disk that is not read-only."
        )
    logger.warning("SQLite says %s: %s", code, error)
    if code.startswith("SQLITE_IOERR"):
        return Unavailable(
            "The disk is full, over a quota or read-only, or it fails: nothing was written. Look at its room "
            "and its health."
        )
    return Unavailable("The database does not work: nothing was written. The engine's log has the reason.")


def _keep_private(path: Path) -> None:
    """Make a file that is not there yet, for this user alone: SQLite gives those beside it the same rights.

    Whoever gave others rights to a file that is there keeps them.
    """
    with suppress(OSError):  # what else is wrong with it SQLite says
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 10000")  # 40 MB: pages that change again are copied once
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for its lock here, so two processes that make the file at once must."""
    for turn in count():
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if turn * WAL_RETRY_S >= BUSY_TIMEOUT_S or not error.sqlite_errorname.startswith("SQLITE_BUSY"):
                raise
            sleep(WAL_RETRY_S)


def cannot_open(path: Path, error: sqlite3.Error) -> str:
    """Why the file cannot be used, and what to do."""
    code = getattr(error, "sqlite_errorname", "") or ""
    if code in {"SQLITE_NOTADB", "SQLITE_CORRUPT"} or "malformed" in str(error):
        return (
            f"{path} is no sound SQLite database ({error}). It was left as it is: move it away and restore a backup in "
            "its place, or start with an empty data folder."
        )
    return f"{path} cannot be opened: {error}. Check the folder's rights and room, or set DATA_DIR to another."


def _check_length(path: Path) -> None:
    """Raises StartRefused for a file too short to be a database, which SQLite would take for a new one.

    No other file is opened here: to close it again would drop the locks that this process holds on it (POSIX).
    """
    if path.is_file() and 0 < path.stat().st_size < SHORTEST:
        raise StartRefused(cannot_open(path, sqlite3.DatabaseError("file is malformed")))
