"""Idempotency keys in SQLite."""

import sqlite3
from collections.abc import Mapping

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.moments import Micros
from mastery_engine.ports.idempotency import KEY_LIFE

_PURGE = "DELETE FROM idempotency_keys WHERE at < ?"
_CLAIM = "INSERT INTO idempotency_keys VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_FIND = "SELECT body FROM idempotency_keys WHERE name = ?"


class SqliteIdempotency:
    """See ``IdempotencyStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, name: str, body: str, at: Micros) -> str:
        return (await self.claim_all({name: body}, at))[name] or body

    async def claim_all(self, values: Mapping[str, str | None], at: Micros) -> dict[str, str | None]:
        """Each claim also removes the keys that are too old, so that there are never more than those of a day."""

        def write(connection: sqlite3.Connection) -> dict[str, str | None]:
            connection.execute(_PURGE, (at - KEY_LIFE + 1,))
            connection.executemany(_CLAIM, [(name, value, at) for name, value in values.items() if value is not None])
            held = {name: connection.execute(_FIND, (name,)).fetchone() for name in values}
            return {name: None if row is None else str(row[0]) for name, row in held.items()}

        return await self._database.write(write)

    async def purge(self, before: Micros) -> int:
        return await self._database.write(lambda connection: connection.execute(_PURGE, (before,)).rowcount)
