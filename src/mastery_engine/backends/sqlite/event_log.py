"""The log on one machine: a table in SQLite with one partition, 0. Other processes may append to the same file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.events.event import LearningEvent, encode
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result, message, topic_of
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.event_log import NO_TRACES, Batch, ConsentRecord, DeadLetter, Fading, Position, Record, Where

PARTITION = 0
POLL_S = 0.05
IDLE_S = 0.2

_encode = msgspec.json.Encoder().encode
_LETTERS = (
    "SELECT topic, part, position, tenant, key, value, headers, received, student_id, event_id, code, message, "
    "attempts, at, redriven, letter_id FROM dead_letters "
)
_AFTER = _LETTERS + "WHERE letter_id > ? ORDER BY letter_id LIMIT ?"
_BY_ID = _LETTERS + "WHERE letter_id = ?"
_BURY = (
    "INSERT OR IGNORE INTO dead_letters (topic, part, position, tenant, key, value, headers, received, student_id, "
    "event_id, code, message, attempts, at, redriven, letter_id) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 + (SELECT count(*) FROM dead_letters "
    "WHERE tenant = ?4 AND event_id = ?10 AND redriven IS NOT NULL), ?14, ?15, NULL)"
)
_PUT_CONSENT = "INSERT OR REPLACE INTO consents (name, value, at) VALUES (?, ?, ?)"
_CONSENTS = "SELECT name, value, at, seq FROM consents WHERE seq > ? ORDER BY seq"
_HELD = "SELECT ?, seq, received, tenant, key, value, event_id FROM requests WHERE tenant = ? AND key = ? ORDER BY seq"
_PAGE = (
    "SELECT ?, seq, received, tenant, key, value, event_id FROM requests WHERE seq > ? AND seq < ? "
    "ORDER BY seq LIMIT 5000"
)
_ERASE = (
    "DELETE FROM requests WHERE tenant = :tenant AND key = CAST(:student AS BLOB)",
    "DELETE FROM results WHERE tenant = :tenant AND student_id = :student",
    "DELETE FROM dead_letters WHERE tenant = :tenant AND (student_id = :student OR key = CAST(:student AS BLOB))",
)
_PUBLISH = "INSERT OR IGNORE INTO results (at, topic, event_id, tenant, student_id, value) VALUES (?, ?, ?, ?, ?, ?)"


class SqliteLog:
    """See ``EventLog``. ``batch_size`` is the most that one batch holds."""

    def __init__(self, database: Database, *, batch_size: int = 500) -> None:
        self._database = database
        self._batch_size = batch_size
        self._appended = asyncio.Event()

    async def log_id(self) -> str:
        return str(self._database.read("SELECT log_id FROM log")[0][0])

    async def append(self, events: Sequence[LearningEvent], traceparent: str | None = None) -> list[Position]:
        del traceparent
        if not events:
            return []
        rows = [
            (event.received, event.tenant, event.event_id, event.student_id.encode(), encode(event)) for event in events
        ]
        last = await self._database.write(lambda connection: _append(connection, rows))
        self._appended.set()
        return [Position(PARTITION, offset) for offset in range(last - len(rows) + 1, last + 1)]

    async def ends(self) -> dict[int, int]:
        (last,) = self._database.read("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'requests'")[0]
        return {PARTITION: last + 1}

    async def committed(self) -> dict[int, int]:
        return {PARTITION: self._database.read("SELECT committed FROM log")[0][0]}

    async def batches(self, where: Where) -> AsyncIterator[Batch | None]:
        start, waited = (await where(await self.committed()))[PARTITION], 0.0
        while True:
            self._appended.clear()
            past = (await self.ends())[PARTITION]
            rows = self._database.read(
                "SELECT seq, received, tenant, key, value, event_id FROM requests WHERE seq >= ? ORDER BY seq LIMIT ?",
                (start, self._batch_size),
            )
            if rows:
                records = tuple(Record(PARTITION, *row) for row in rows)
                end = records[-1].offset + 1
                yield Batch(records, {PARTITION: start}, {PARTITION: end})
                start, waited = end, 0.0
            elif start < past:  # nothing is left of what was there
                yield Batch((), {PARTITION: start}, {PARTITION: past})
                start, waited = past, 0.0
            else:
                waited += POLL_S
                if waited >= IDLE_S:
                    waited = 0.0
                    yield None
                await self._wait_for_more()

    async def _wait_for_more(self) -> None:
        """Until this process appends; another process's events are found by looking."""
        try:
            await asyncio.wait_for(self._appended.wait(), POLL_S)
        except TimeoutError:
            return

    async def commit(self, ends: Mapping[int, int]) -> None:
        await self._database.put("UPDATE log SET committed = ?", [(ends[PARTITION],)])

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        del traceparents
        rows = []
        for result in results:
            sent = message(result)
            rows.append((result.at, topic_of(result), sent.event_id, sent.tenant, sent.student_id, _encode(sent)))
        await self._database.put(_PUBLISH, rows)

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        await self._database.put(_BURY, [_row(letter) for letter in letters])

    async def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        return [_letter(row) for row in self._database.read(_AFTER, (after, limit))]

    async def dead_letter(self, letter_id: int) -> DeadLetter | None:
        return next(map(_letter, self._database.read(_BY_ID, (letter_id,))), None)

    async def redrive(self, letter_ids: Sequence[int], at: Micros) -> dict[int, Position]:
        def write(connection: sqlite3.Connection) -> dict[int, Position]:
            found = {}
            for letter_id in letter_ids:
                marked = connection.execute(
                    "UPDATE dead_letters SET redriven = ? WHERE letter_id = ? AND redriven IS NULL "
                    "RETURNING received, tenant, coalesce(event_id, ''), key, value",
                    (at, letter_id),
                ).fetchall()
                if marked:
                    found[letter_id] = Position(PARTITION, _append(connection, marked))
            return found

        positions = await self._database.write(write)
        self._appended.set()
        return positions

    async def put_consent(self, name: str, value: bytes, at: Micros) -> None:
        await self._database.put(_PUT_CONSENT, [(name, value, at)])

    async def consents(self, after: int) -> tuple[list[ConsentRecord], int]:
        rows = self._database.read(_CONSENTS, (after,))
        return [ConsentRecord(*row[:3]) for row in rows], rows[-1][3] if rows else after

    async def held(self, key: StudentKey, *, scan: bool = False) -> list[Record] | None:
        del scan
        rows = self._database.read(_HELD, (PARTITION, key.tenant, key.student_id.encode()))
        return [Record(*row) for row in rows]

    async def pages(self) -> AsyncIterator[Sequence[Record]]:
        last, end = 0, (await self.ends())[PARTITION]
        while rows := self._database.read(_PAGE, (PARTITION, last, end)):
            yield [Record(*row) for row in rows]
            last = rows[-1][1]

    async def erase(self, key: StudentKey) -> int:
        values = {"tenant": key.tenant, "student": key.student_id}

        def write(connection: sqlite3.Connection) -> int:
            return sum(connection.execute(statement, values).rowcount for statement in _ERASE)

        removed = await self._database.write(write)
        await self._database.scrub()
        return removed

    async def scrub(self, positions: Sequence[Position]) -> None:
        await self._database.put("DELETE FROM requests WHERE seq = ?", [(one.offset,) for one in positions])
        await self._database.scrub()

    async def fading(self, now: Micros) -> list[Fading]:
        del now
        return []

    async def purge(self, before: Micros) -> int:
        def write(connection: sqlite3.Connection) -> int:
            committed = connection.execute("SELECT committed FROM log").fetchone()[0]
            removed = connection.execute(
                "DELETE FROM requests WHERE received < ? AND seq < ?", (before, committed)
            ).rowcount
            removed += connection.execute("DELETE FROM results WHERE at < ?", (before,)).rowcount
            return removed + connection.execute("DELETE FROM dead_letters WHERE received < ?", (before,)).rowcount

        return await self._database.write(write)

    async def workers(self) -> list[str]:
        """None that this log knows of: the data folder's lock keeps others away."""
        return []

    async def ping(self) -> None:
        """It writes, so that a full disk is seen."""
        await self._database.put("UPDATE log SET committed = committed WHERE log_id = ?", [(await self.log_id(),)])

    async def close(self) -> None:
        await self._database.close()


def _append(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    """The offset of the last row; the rows before it have those just below, since one transaction writes at a time."""
    connection.executemany("INSERT INTO requests (received, tenant, event_id, key, value) VALUES (?, ?, ?, ?, ?)", rows)
    return int(connection.execute("SELECT max(seq) FROM requests").fetchone()[0])


def _row(letter: DeadLetter) -> tuple[Any, ...]:
    values = msgspec.structs.astuple(letter)
    return (*values[:6], msgspec.json.encode(letter.headers), *values[7:-1])


def _letter(row: Sequence[Any]) -> DeadLetter:
    values = [*row[:6], msgspec.json.decode(row[6]), *row[7:]]
    return DeadLetter(*values)
