"""Dead letters in SQLite."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.event_log import PARTITION, SqliteEventLog, append_rows
from mastery_engine.backends.sqlite.joined_blobs import parted
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.dead_letters import DeadLetter, LetterReason, LetterReasons
from mastery_engine.ports.event_log import REQUESTS_TOPIC, Position

_LETTERS = (
    "SELECT topic, part, position, tenant, key, value, headers, received, student_id, event_id, code, message, "
    "attempts, at, redriven, letter_id FROM dead_letters "
)
_PAGE = (
    "SELECT json_group_array(json_array(topic, part, position, tenant, length(key), length(value), "
    "json(CAST(headers AS TEXT)), received, student_id, event_id, code, message, attempts, at, redriven, letter_id)), "
    "CAST(group_concat(key, '') AS BLOB), CAST(group_concat(value, '') AS BLOB) "
    "FROM (SELECT * FROM dead_letters WHERE letter_id > ? ORDER BY letter_id LIMIT ?)"
)
_FIND = _LETTERS + "WHERE letter_id = ?"
_REASONS = (
    "SELECT code, count(*), max(at) FROM dead_letters WHERE tenant = ? AND redriven IS NULL GROUP BY code ORDER BY code"
)
_WITH_CODE = _LETTERS + (
    "WHERE tenant = ?1 AND code = ?2 AND (?3 IS NULL OR letter_id < ?3) ORDER BY letter_id DESC LIMIT ?4"
)
_WAITING = _LETTERS + (
    "WHERE tenant = ? AND code = ? AND redriven IS NULL AND value IS NOT NULL AND at <= ? "
    "ORDER BY at, letter_id LIMIT ?"
)
_CODES_AT = (
    "SELECT part, position, code FROM json_each(?) AS asked JOIN dead_letters "
    "ON topic = ? AND part = asked.value ->> 0 AND position = asked.value ->> 1"
)
_APPEND = (
    "INSERT OR IGNORE INTO dead_letters (topic, part, position, tenant, key, value, headers, received, student_id, "
    "event_id, code, message, attempts, at, redriven, letter_id) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 + (SELECT count(*) FROM dead_letters "
    "WHERE tenant = ?4 AND event_id = ?10 AND redriven IS NOT NULL), ?14, ?15, NULL)"
)
_REDRIVE = (
    "UPDATE dead_letters SET redriven = ? WHERE letter_id = ? AND redriven IS NULL "
    "RETURNING received, tenant, key, value, coalesce(event_id, '')"
)
_ERASE = "DELETE FROM dead_letters WHERE tenant = ? AND (student_id = ? OR key = ?)"
_PURGE = "DELETE FROM dead_letters WHERE received < ?"
MANY = 500

_decode = msgspec.json.Decoder(list[list[Any]]).decode


class SqliteDeadLetters:
    """See ``DeadLetterQueue``."""

    def __init__(self, database: Database, events: SqliteEventLog) -> None:
        """``events`` is the log in the same database, which takes the letters that are redriven."""
        self._database = database
        self._events = events

    async def append(self, letters: Sequence[DeadLetter]) -> None:
        await self._database.put(_APPEND, [_row(letter) for letter in letters])

    async def page(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        letters: list[DeadLetter] = []
        while len(letters) < limit:
            more = await self._fetch(letters[-1].letter_id if letters else after, min(limit - len(letters), MANY))
            letters += more
            if len(more) < MANY:
                break
        return letters

    async def _fetch(self, after: int, limit: int) -> list[DeadLetter]:
        ((listed, joined_keys, joined_values),) = await self._database.fetch(_PAGE, (after, limit))
        rows = _decode(listed)
        keys, values = parted(joined_keys, [row[4] for row in rows]), parted(joined_values, [row[5] for row in rows])
        letters = [[*row[:4], key, value, *row[6:]] for row, key, value in zip(rows, keys, values, strict=True)]
        return [DeadLetter(*fields) for fields in letters]

    async def find(self, letter_id: int) -> DeadLetter | None:
        return next(map(_letter, self._database.read(_FIND, (letter_id,))), None)

    async def reasons(self, tenant: str) -> LetterReasons:
        return LetterReasons([LetterReason(*row) for row in await self._database.fetch(_REASONS, (tenant,))])

    async def with_code(self, tenant: str, code: str, *, before: int | None, limit: int) -> list[DeadLetter]:
        return [_letter(row) for row in await self._database.fetch(_WITH_CODE, (tenant, code, before, limit))]

    async def waiting(self, tenant: str, code: str, *, until: Micros, limit: int) -> list[DeadLetter]:
        return [_letter(row) for row in await self._database.fetch(_WAITING, (tenant, code, until, limit))]

    async def codes_at(self, positions: Sequence[Position]) -> dict[Position, str]:
        asked = msgspec.json.encode([(one.partition, one.offset) for one in positions]).decode()
        rows = await self._database.fetch(_CODES_AT, (asked, REQUESTS_TOPIC))
        return {Position(part, position): code for part, position, code in rows}

    async def redrive(self, letter_ids: Sequence[int], at: Micros) -> dict[int, Position]:
        def write(connection: sqlite3.Connection) -> dict[int, Position]:
            positions = {}
            for letter_id in letter_ids:
                rows = connection.execute(_REDRIVE, (at, letter_id)).fetchall()
                if rows:
                    positions[letter_id] = Position(PARTITION, append_rows(connection, rows))
            return positions

        positions = await self._database.write(write)
        self._events.wake()
        return positions

    async def erase(self, key: StudentKey) -> int:
        values = (key.tenant, key.student_id, key.student_id.encode())
        return await self._database.write(lambda connection: connection.execute(_ERASE, values).rowcount)

    async def purge(self, before: Micros) -> int:
        return await self._database.write(lambda connection: connection.execute(_PURGE, (before,)).rowcount)


def _row(letter: DeadLetter) -> tuple[Any, ...]:
    values = msgspec.structs.astuple(letter)
    return (*values[:6], msgspec.json.encode(letter.headers), *values[7:-1])


def _letter(row: Sequence[Any]) -> DeadLetter:
    values = [*row[:6], msgspec.json.decode(row[6]), *row[7:]]
    return DeadLetter(*values)
