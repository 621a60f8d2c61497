"""Small records in SQLite. A write is a new row, whose number is the record's version."""

import sqlite3
from collections.abc import Sequence

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.registry import Entry, RegistryWrite, Table

FEW = 100  # rows that are read in less than another thread may wait for its turn
LAST_CHARACTER = chr(0x10FFFF)

_FIND = (
    "SELECT key, value, version FROM (SELECT value AS asked FROM json_each(?)) JOIN registry ON key = asked "
    "WHERE kind = ? AND (expires IS NULL OR expires > ?)"
)
_VERSION = "SELECT version FROM registry WHERE kind = ? AND key = ? AND (expires IS NULL OR expires > ?)"
_PUT = "INSERT OR REPLACE INTO registry (kind, key, value, tenant, student_id, expires) VALUES (?, ?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM registry WHERE kind = ? AND key = ?"
_PAGE = (
    "SELECT key, value, version FROM registry WHERE kind = ? AND key > ? AND key >= ? AND key < ? "
    "AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?"
)
_OWNED = (
    "SELECT kind, key, value, version FROM registry WHERE tenant = ? AND student_id = ? "
    "AND (expires IS NULL OR expires > ?) ORDER BY kind, key"
)
_ERASE = "DELETE FROM registry WHERE tenant = ? AND student_id = ?"
_PURGE = "DELETE FROM registry WHERE expires <= ?"

_encode = msgspec.json.Encoder().encode


class SqliteRegistry:
    """See ``RegistryStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, table: Table, keys: Sequence[str], now: Micros) -> list[Entry | None]:
        asked = (_encode(keys).decode(), table, now)
        rows = self._database.read(_FIND, asked) if len(keys) <= FEW else await self._database.fetch(_FIND, asked)
        found = {row[0]: Entry(*row) for row in rows}
        return [found.get(key) for key in keys]

    async def write(self, table: Table, writes: Sequence[RegistryWrite], now: Micros) -> list[bool]:
        return await self._database.write(lambda connection: [_write(connection, table, one, now) for one in writes])

    async def page(self, table: Table, prefix: str, after: str, limit: int, now: Micros) -> list[Entry]:
        asked = (table, after, prefix, prefix + LAST_CHARACTER, now, limit)
        return [Entry(*row) for row in await self._database.fetch(_PAGE, asked)]

    async def owned(self, key: StudentKey, now: Micros) -> list[tuple[Table, Entry]]:
        rows = await self._database.fetch(_OWNED, (*key, now))
        return [(table, Entry(*entry)) for table, *entry in rows]

    async def erase(self, key: StudentKey) -> int:
        return await self._database.write(lambda connection: connection.execute(_ERASE, key).rowcount)

    async def purge(self, now: Micros) -> int:
        return await self._database.write(lambda connection: connection.execute(_PURGE, (now,)).rowcount)


def _write(connection: sqlite3.Connection, table: Table, write: RegistryWrite, now: Micros) -> bool:
    if write.expected is not None:
        stored = connection.execute(_VERSION, (table, write.key, now)).fetchone()
        if (stored[0] if stored else 0) != write.expected:
            return False
    if write.value is None:
        connection.execute(_REMOVE, (table, write.key))
    else:
        owner = write.owner or (None, None)
        connection.execute(_PUT, (table, write.key, write.value, *owner, write.expires))
    return True
