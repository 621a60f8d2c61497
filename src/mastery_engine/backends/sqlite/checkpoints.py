"""Checkpoints and floods in SQLite."""

import sqlite3
from collections.abc import Mapping

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.ports.checkpoints import Checkpoint, check_not_behind

_READ = "SELECT part, next_offset FROM marks WHERE log_id = ?"
_MOVE = (
    "INSERT INTO marks VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)"
)
_FLOODS = "SELECT part FROM floods WHERE log_id = ?"
_PUT_FLOOD = "INSERT OR IGNORE INTO floods VALUES (?, ?)"
_END_FLOOD = "DELETE FROM floods WHERE log_id = ? AND part = ?"


class SqliteCheckpoints:
    """See ``Checkpoints``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, log_id: str) -> Checkpoint:
        return Checkpoint(dict(self._database.read(_READ, (log_id,))))

    async def move(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], server_epoch: str) -> None:
        del server_epoch  # a file does not come back without its last writes
        rows = [(log_id, partition, end) for partition, end in ends.items()]

        def write(connection: sqlite3.Connection) -> None:
            check_not_behind(dict(connection.execute(_READ, (log_id,)).fetchall()), starts)
            connection.executemany(_MOVE, rows)

        await self._database.write(write)

    async def clear(self) -> None:
        await self._database.put("DELETE FROM marks", [()])

    async def floods(self, log_id: str) -> set[int]:
        return {partition for (partition,) in self._database.read(_FLOODS, (log_id,))}

    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        await self._database.put(_PUT_FLOOD if flooded else _END_FLOOD, [(log_id, partition)])
