"""The store on one machine: documents in SQLite."""

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from mastery_engine.database import Database
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.seen import IdsByDay
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.stores.base import AuditRecord, BatchJob, Change, Held

_AUDIT_COLUMNS = "at, tenant, subject, role, call, student_id, allowed, address, request_id"
_BATCH_COLUMNS = "tenant, batch_id, subject, priority, created, caller, request, answer"
_WANTED = "(SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?))"
_PAGE = 1_000


class SqliteStore:
    """See ``Store``. The file is the database's, which others may share; it is theirs to close."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        if len(keys) == 1:
            rows = self._database.read(
                "SELECT tenant, student_id, version, body FROM documents WHERE tenant = ? AND student_id = ?", keys[0]
            )
        else:
            rows = self._database.read(
                f"SELECT tenant, student_id, version, body FROM {_WANTED} JOIN documents USING (tenant, student_id)",
                (json.dumps(keys),),
            )
        held = {(tenant, student_id): Held(version, unpack(body)) for tenant, student_id, version, body in rows}
        return [held.get(key) for key in keys]

    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        rows = self._database.read(
            f"SELECT tenant, student_id, body FROM {_WANTED} JOIN cold_ids USING (tenant, student_id)", (json.dumps(keys),)
        )
        found = {(tenant, student_id): unpack_ids(body) for tenant, student_id, body in rows}
        return [found.get(key, {}) for key in keys]

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        rows = [
            (
                change.key,
                change.version,
                None if change.student is None else pack(change.student),
                None if change.cold is None else pack_ids(change.cold),
            )
            for change in changes
        ]
        return await self._database.write(lambda connection: [_write(connection, *row) for row in rows])

    async def marks(self, log_id: str) -> dict[int, int]:
        return dict(self._database.read("SELECT part, next_offset FROM marks WHERE log_id = ?", (log_id,)))

    async def set_marks(self, log_id: str, marks: Mapping[int, int]) -> None:
        rows = [(log_id, partition, offset) for partition, offset in marks.items()]
        await self._database.write(
            lambda connection: connection.executemany("INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", rows)
        )

    async def keys(self) -> AsyncIterator[StudentKey]:
        last = StudentKey("", "")
        while page := self._database.read(
            "SELECT tenant, student_id FROM documents WHERE (tenant, student_id) > (?, ?) ORDER BY 1, 2 LIMIT ?",
            (*last, _PAGE),
        ):
            for row in page:
                last = StudentKey(*row)
                yield last

    async def clear(self) -> None:
        def write(connection: sqlite3.Connection) -> None:
            for table in ("documents", "cold_ids", "marks"):
                connection.execute(f"DELETE FROM {table}")

        await self._database.write(write)

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        rows = [msgspec.structs.astuple(record) for record in records]
        await self._database.write(
            lambda connection: connection.executemany(
                f"INSERT INTO audit ({_AUDIT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
        )

    async def audited(self, tenant: str, *, limit: int) -> list[AuditRecord]:
        rows = self._database.read(
            f"SELECT {_AUDIT_COLUMNS} FROM audit WHERE tenant = ? ORDER BY seq DESC LIMIT ?", (tenant, limit)
        )
        return [AuditRecord(*row[:6], bool(row[6]), *row[7:]) for row in rows]

    async def put_batch(self, job: BatchJob) -> None:
        row = msgspec.structs.astuple(job)
        await self._database.write(
            lambda connection: connection.execute(
                f"INSERT OR REPLACE INTO batches ({_BATCH_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row
            )
        )

    async def batch(self, tenant: str, batch_id: str) -> BatchJob | None:
        rows = self._database.read(
            f"SELECT {_BATCH_COLUMNS} FROM batches WHERE tenant = ? AND batch_id = ?", (tenant, batch_id)
        )
        return BatchJob(*rows[0]) if rows else None

    async def open_batches(self) -> list[BatchJob]:
        rows = self._database.read(f"SELECT {_BATCH_COLUMNS} FROM batches WHERE answer IS NULL ORDER BY created")
        return [BatchJob(*row) for row in rows]

    async def purge(self, before: Micros) -> int:
        def write(connection: sqlite3.Connection) -> int:
            audit = connection.execute("DELETE FROM audit WHERE at < ?", (before,)).rowcount
            return audit + connection.execute("DELETE FROM batches WHERE created < ?", (before,)).rowcount

        return await self._database.write(write)

    async def ping(self) -> None:
        self._database.read("SELECT 1 FROM marks LIMIT 1")

    async def close(self) -> None:
        await self._database.close()


def _write(
    connection: sqlite3.Connection, key: StudentKey, version: int, body: bytes | None, cold: bytes | None
) -> bool:
    """One compare-and-set: True where the version was still the expected one."""
    if body is None:
        done = connection.execute(
            "DELETE FROM documents WHERE tenant = ? AND student_id = ? AND version = ?", (*key, version)
        )
        if done.rowcount:
            connection.execute("DELETE FROM cold_ids WHERE tenant = ? AND student_id = ?", key)
    elif version == 0:
        done = connection.execute("INSERT OR IGNORE INTO documents VALUES (?, ?, 1, ?)", (*key, body))
    else:
        done = connection.execute(
            "UPDATE documents SET version = version + 1, body = ? WHERE tenant = ? AND student_id = ? AND version = ?",
            (body, *key, version),
        )
    if done.rowcount and cold is not None:
        connection.execute("INSERT OR REPLACE INTO cold_ids VALUES (?, ?, ?)", (*key, cold))
    return done.rowcount == 1
