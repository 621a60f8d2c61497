"""Courses in SQLite; one that nobody set has version 0 and no body."""

import sqlite3
from collections.abc import Sequence

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.courses.course import Course
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.ports.courses import StoredCourse, pack_course, unpack_course

_LOAD = (
    "SELECT tenant, course_id, version, body "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS course_id FROM json_each(?)) "
    "JOIN courses USING (tenant, course_id) WHERE body IS NOT NULL"
)
_VERSIONS = (
    "SELECT tenant, course_id, version "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS course_id FROM json_each(?)) "
    "JOIN courses USING (tenant, course_id)"
)
_HAS = "SELECT 1 FROM courses WHERE tenant = ? AND course_id = ?"
_INSERT = "INSERT OR IGNORE INTO courses VALUES (?, ?, 0, NULL)"
_UPDATE = "UPDATE courses SET version = version + 1, body = ? WHERE tenant = ? AND course_id = ? AND version = ?"
_OF_TENANT = "SELECT course_id FROM courses WHERE tenant = ? AND course_id > ? ORDER BY course_id LIMIT ?"


class SqliteCourses:
    """See ``CourseStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, courses: Sequence[CourseKey]) -> list[StoredCourse]:
        rows = await self._database.fetch(_LOAD, _listed(courses))
        stored = {(tenant, name): StoredCourse(version, unpack_course(body)) for tenant, name, version, body in rows}
        return [stored.get(key, StoredCourse()) for key in courses]

    async def versions(self, courses: Sequence[CourseKey]) -> list[int]:
        rows = self._database.read(_VERSIONS, _listed(courses))
        stored = {(tenant, name): version for tenant, name, version in rows}
        return [stored.get(key, 0) for key in courses]

    async def put(self, key: CourseKey, version: int, course: Course) -> bool:
        body = pack_course(course)

        def write(connection: sqlite3.Connection) -> bool:
            connection.execute(_INSERT, key)
            return connection.execute(_UPDATE, (body, *key, version)).rowcount == 1

        return await self._database.write(write)

    async def has(self, key: CourseKey) -> bool:
        return bool(self._database.read(_HAS, key))

    async def note(self, courses: Sequence[CourseKey]) -> None:
        await self._database.put(_INSERT, courses)

    async def of_tenant(self, tenant: str, *, after: str, limit: int) -> list[str]:
        return [name for (name,) in await self._database.fetch(_OF_TENANT, (tenant, after, limit))]


def _listed(courses: Sequence[CourseKey]) -> tuple[str]:
    return (msgspec.json.encode(courses).decode(),)
