"""Documents in SQLite, and their cold ids in a table beside them."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.joined_blobs import parted
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.ports.documents import DocumentChange, StoredDocument

FEW = 100  # documents that are read in half a millisecond: less than another thread may wait for its turn
PAGE = 1_000

_LOAD_ONE = "SELECT tenant, student_id, version, body FROM documents WHERE tenant = ? AND student_id = ?"
_LOAD = (
    "SELECT tenant, student_id, version, body "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?)) "
    "JOIN documents USING (tenant, student_id)"
)
# Many rows as one, as ``Database.fetch`` wants it: the bodies stand one after the other.
_LOAD_MANY = (
    "SELECT json_group_array(json_array(tenant, student_id, version, length(body))), "
    "CAST(group_concat(body, '') AS BLOB) "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?)) "
    "JOIN documents USING (tenant, student_id)"
)
_LOAD_COLD = (
    "SELECT json_group_array(json_array(tenant, student_id, 0, length(body))), CAST(group_concat(body, '') AS BLOB) "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?)) "
    "JOIN cold_ids USING (tenant, student_id)"
)
_VERSIONS = (
    "SELECT json_group_array(json_array(tenant, student_id, version)) "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?)) "
    "JOIN documents USING (tenant, student_id)"
)
_STUDENTS = (
    "SELECT json_group_array(json_array(tenant, student_id)) FROM (SELECT tenant, student_id FROM documents "
    "WHERE (tenant, student_id) > (?, ?) ORDER BY tenant, student_id LIMIT ?)"
)

_ERASE = (
    "DELETE FROM documents WHERE tenant = ? AND student_id = ?",
    "DELETE FROM cold_ids WHERE tenant = ? AND student_id = ?",
)

_encode_keys = msgspec.json.Encoder().encode
_decode_keys = msgspec.json.Decoder(list[StudentKey]).decode
_decode_many = msgspec.json.Decoder(list[tuple[str, str, int, int]]).decode
_decode_versions = msgspec.json.Decoder(list[tuple[str, str, int]]).decode


class SqliteDocuments:
    """See ``DocumentStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, keys: Sequence[StudentKey]) -> list[StoredDocument | None]:
        if len(keys) > FEW:
            rows = _split(*(await self._database.fetch(_LOAD_MANY, _listed(keys)))[0])
        elif len(keys) == 1:
            rows = self._database.read(_LOAD_ONE, keys[0])
        else:
            rows = self._database.read(_LOAD, _listed(keys))
        stored = {(tenant, name): StoredDocument(version, unpack(body)) for tenant, name, version, body in rows}
        return [stored.get(key) for key in keys]

    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        ((rows, bodies),) = await self._few_or_many(_LOAD_COLD, keys)
        stored = {(tenant, name): unpack_ids(body) for tenant, name, _, body in _split(rows, bodies)}
        return [stored.get(key, {}) for key in keys]

    async def _few_or_many(self, query: str, keys: Sequence[StudentKey]) -> list[Any]:
        if len(keys) <= FEW:
            return self._database.read(query, _listed(keys))
        return await self._database.fetch(query, _listed(keys))

    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
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

    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        ((rows,),) = await self._few_or_many(_VERSIONS, keys)
        stored = {(tenant, name): version for tenant, name, version in _decode_versions(rows)}
        return [stored.get(key, 0) for key in keys]

    async def students(self) -> AsyncIterator[StudentKey]:
        last = StudentKey("", "")
        while page := _decode_keys((await self._database.fetch(_STUDENTS, (*last, PAGE)))[0][0]):
            last = max(page)
            for key in page:
                yield key

    async def erase(self, key: StudentKey) -> int:
        def write(connection: sqlite3.Connection) -> int:
            return sum(connection.execute(statement, key).rowcount for statement in _ERASE)

        return await self._database.write(write)

    async def clear(self) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM documents")
            connection.execute("DELETE FROM cold_ids")

        await self._database.write(write)


def _listed(keys: Sequence[StudentKey]) -> tuple[str]:
    return (_encode_keys(keys).decode(),)


def _split(listed: str, bodies: bytes | None) -> list[tuple[str, str, int, bytes]]:
    """The rows that were made one: tenant, student, version and body of each."""
    rows = _decode_many(listed)
    return [
        (tenant, student_id, version, body or b"")
        for (tenant, student_id, version, _), body in zip(rows, parted(bodies, [row[3] for row in rows]), strict=True)
    ]


def _write(
    connection: sqlite3.Connection, key: StudentKey, version: int, body: bytes | None, cold: bytes | None
) -> bool:
    """One compare-and-set: True where the version was still the expected one."""
    if body is None and version == 0:
        return not connection.execute("SELECT 1 FROM documents WHERE tenant = ? AND student_id = ?", key).fetchone()
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
    if done.rowcount and body is not None and cold is not None:
        connection.execute("INSERT OR REPLACE INTO cold_ids VALUES (?, ?, ?)", (*key, cold))
    return done.rowcount == 1
