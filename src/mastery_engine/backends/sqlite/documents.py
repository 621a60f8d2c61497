"""Documents in SQLite, and their cold ids in a table beside them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.joined_blobs import parted
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.student import DocumentKey, StudentKey, unpack_ids
from mastery_engine.ports.documents import Courses, DocumentChange, PackedDocument, StoredDocument, unpacked

FEW = 100  # documents that are read in half a millisecond: less than another thread may wait for its turn
PAGE = 1_000

_LOAD_ONE = (
    "SELECT tenant, student_id, course_id, version, body FROM documents "
    "WHERE tenant = ? AND student_id = ? AND course_id = ?"
)
_LOAD = (
    "SELECT tenant, student_id, course_id, version, body "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id, value ->> 2 AS course_id FROM json_each(?)) "
    "JOIN documents USING (tenant, student_id, course_id)"
)
# Many rows as one, as ``Database.fetch`` wants it: the bodies stand one after the other.
_LOAD_MANY = (
    "SELECT json_group_array(json_array(tenant, student_id, course_id, version, length(body))), "
    "CAST(group_concat(body, '') AS BLOB) "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id, value ->> 2 AS course_id FROM json_each(?)) "
    "JOIN documents USING (tenant, student_id, course_id)"
)
_LOAD_COLD = (
    "SELECT json_group_array(json_array(tenant, student_id, course_id, 0, length(body))), "
    "CAST(group_concat(body, '') AS BLOB) "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id, value ->> 2 AS course_id FROM json_each(?)) "
    "JOIN cold_ids USING (tenant, student_id, course_id)"
)
_VERSIONS = (
    "SELECT json_group_array(json_array(tenant, student_id, course_id, version)) "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id, value ->> 2 AS course_id FROM json_each(?)) "
    "JOIN documents USING (tenant, student_id, course_id)"
)
# All documents of some students; what one student has in several courses lies side by side.
_OF_ONE = "SELECT course_id, version, body FROM documents WHERE tenant = ? AND student_id = ?"
_OF_STUDENTS = (
    "SELECT tenant, student_id, course_id, version, body "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?)) "
    "JOIN documents USING (tenant, student_id)"
)
_KEYS = (
    "SELECT json_group_array(json_array(tenant, student_id, course_id)) "
    "FROM (SELECT tenant, student_id, course_id FROM documents "
    "WHERE (tenant, student_id, course_id) > (?, ?, ?) ORDER BY tenant, student_id, course_id LIMIT ?)"
)
# As the primary key has them, so that a page costs what it holds.
_STUDENTS = (
    "SELECT json_group_array(student_id) FROM (SELECT DISTINCT student_id FROM documents "
    "WHERE tenant = ? AND student_id > ? ORDER BY student_id LIMIT ?)"
)

_ERASE = (
    "DELETE FROM documents WHERE tenant = ? AND student_id = ?",
    "DELETE FROM cold_ids WHERE tenant = ? AND student_id = ?",
)

_FIND = "SELECT 1 FROM documents WHERE tenant = ? AND student_id = ? AND course_id = ?"
_INSERT = "INSERT OR IGNORE INTO documents VALUES (?, ?, ?, 1, ?)"
_UPDATE = (
    "UPDATE documents SET version = version + 1, body = ? "
    "WHERE tenant = ? AND student_id = ? AND course_id = ? AND version = ?"
)
_REMOVE = "DELETE FROM documents WHERE tenant = ? AND student_id = ? AND course_id = ? AND version = ?"
_PUT_COLD = "INSERT OR REPLACE INTO cold_ids VALUES (?, ?, ?, ?)"
_REMOVE_COLD = "DELETE FROM cold_ids WHERE tenant = ? AND student_id = ? AND course_id = ?"

_encode_keys = msgspec.json.Encoder().encode
_decode_keys = msgspec.json.Decoder(list[DocumentKey]).decode
_decode_students = msgspec.json.Decoder(list[str]).decode
_decode_many = msgspec.json.Decoder(list[tuple[str, str, str, int, int]]).decode
_decode_versions = msgspec.json.Decoder(list[tuple[str, str, str, int]]).decode


class SqliteDocuments:
    """See ``DocumentStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        return unpacked(await self.load_packed(keys))

    async def load_packed(self, keys: Sequence[DocumentKey]) -> list[PackedDocument | None]:
        if len(keys) > FEW:
            rows = _split(*(await self._database.fetch(_LOAD_MANY, _listed(keys)))[0])
        elif len(keys) == 1:
            rows = self._database.read(_LOAD_ONE, keys[0])
        else:
            rows = self._database.read(_LOAD, _listed(keys))
        stored = {
            (tenant, name, course_id): PackedDocument(version, body) for tenant, name, course_id, version, body in rows
        }
        return [stored.get(key) for key in keys]

    async def load_cold(self, keys: Sequence[DocumentKey]) -> list[IdsByDay]:
        ((rows, bodies),) = await self._few_or_many(_LOAD_COLD, keys)
        stored = {
            (tenant, name, course_id): unpack_ids(body) for tenant, name, course_id, _, body in _split(rows, bodies)
        }
        return [stored.get(key, {}) for key in keys]

    async def _few_or_many(self, query: str, keys: Sequence[DocumentKey]) -> list[Any]:
        if len(keys) <= FEW:
            return self._database.read(query, _listed(keys))
        return await self._database.fetch(query, _listed(keys))

    async def commit(self, changes: Sequence[DocumentChange]) -> list[bool]:
        rows = [(change.key, change.version, change.packed(), change.packed_cold()) for change in changes]
        return await self._database.write(lambda connection: [_write(connection, *row) for row in rows])

    async def versions(self, keys: Sequence[DocumentKey]) -> list[int]:
        ((rows,),) = await self._few_or_many(_VERSIONS, keys)
        stored = {(tenant, name, course_id): version for tenant, name, course_id, version in _decode_versions(rows)}
        return [stored.get(key, 0) for key in keys]

    async def of_students(self, students: Sequence[StudentKey]) -> list[Courses]:
        if len(students) == 1:
            rows = self._database.read(_OF_ONE, students[0])
            return [{course_id: PackedDocument(version, body).unpacked() for course_id, version, body in rows}]
        found: dict[tuple[str, str], dict[str, StoredDocument]] = {student: {} for student in students}
        for start in range(0, len(students), FEW):
            if start:
                await asyncio.sleep(0)
            page = students[start : start + FEW]
            for tenant, name, course_id, version, body in self._database.read(_OF_STUDENTS, _listed(page)):
                found[tenant, name][course_id] = PackedDocument(version, body).unpacked()
        return [found[student] for student in students]

    async def students_of(self, tenant: str, *, after: str, limit: int) -> list[str]:
        ((page,),) = await self._database.fetch(_STUDENTS, (tenant, after, limit))
        return _decode_students(page)

    async def all_keys(self) -> AsyncIterator[DocumentKey]:
        last = DocumentKey("", "", "")
        while page := _decode_keys((await self._database.fetch(_KEYS, (*last, PAGE)))[0][0]):
            last = max(page)
            for key in page:
                yield key

    async def erase(self, student: StudentKey) -> int:
        def write(connection: sqlite3.Connection) -> int:
            return sum(connection.execute(statement, student).rowcount for statement in _ERASE)

        return await self._database.write(write)

    async def clear(self) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM documents")
            connection.execute("DELETE FROM cold_ids")

        await self._database.write(write)


def _listed(keys: Sequence[DocumentKey] | Sequence[StudentKey]) -> tuple[str]:
    return (_encode_keys(keys).decode(),)


def _split(listed: str, bodies: bytes | None) -> list[tuple[str, str, str, int, bytes]]:
    """The rows that were made one: tenant, student, course, version and body of each."""
    rows = _decode_many(listed)
    return [
        (tenant, student_id, course_id, version, body or b"")
        for (tenant, student_id, course_id, version, _), body in zip(
            rows, parted(bodies, [row[4] for row in rows]), strict=True
        )
    ]


def _write(
    connection: sqlite3.Connection, key: DocumentKey, version: int, body: bytes | None, cold: bytes | None
) -> bool:
    """One compare-and-set: True where the version was still the expected one."""
    if body is None and version == 0:
        return not connection.execute(_FIND, key).fetchone()
    if body is None:
        done = connection.execute(_REMOVE, (*key, version))
        if done.rowcount:
            connection.execute(_REMOVE_COLD, key)
    elif version == 0:
        done = connection.execute(_INSERT, (*key, body))
    else:
        done = connection.execute(_UPDATE, (body, *key, version))
    if done.rowcount and body is not None and cold is not None:
        if cold:
            connection.execute(_PUT_COLD, (*key, cold))
        else:
            connection.execute(_REMOVE_COLD, key)
    return done.rowcount == 1
