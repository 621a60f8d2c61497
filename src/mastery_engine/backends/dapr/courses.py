"""Courses in Dapr's state: one value for each that somebody set, and which courses a tenant has."""

from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.backends.dapr.index import DaprIndex
from mastery_engine.domain.courses.course import Course
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.ports.courses import StoredCourse, pack_course, unpack_course


class _CourseWord(msgspec.Struct, frozen=True):
    """What was set of a course, with the number of its changes; the text is MessagePack in Base64."""

    version: int
    course: str


class DaprCourses:
    """See ``CourseStore``."""

    def __init__(self, state: DaprState) -> None:
        self._state = state

    async def load(self, courses: Sequence[CourseKey]) -> list[StoredCourse]:
        values = await self._state.read([keys.course(key) for key in courses])
        return [StoredCourse() if word is None else _stored(word) for word in map(_word, values)]

    async def versions(self, courses: Sequence[CourseKey]) -> list[int]:
        """The state cannot give a part of a value: this reads all."""
        values = await self._state.read([keys.course(key) for key in courses])
        return [0 if word is None else word.version for word in map(_word, values)]

    async def put(self, key: CourseKey, version: int, course: Course) -> bool:
        """The course is listed before its value is written: none is ever missing from the list."""
        name = keys.course(key)
        (value,) = await self._state.read([name])
        word = _word(value)
        if (word.version if word is not None else 0) != version:
            return False
        await self.note([key])
        written = _CourseWord(version + 1, b64encode(pack_course(course)).decode())
        return await self._state.write([Write(name, written, value.etag if value is not None else None, None)])

    async def has(self, key: CourseKey) -> bool:
        return key.course_id in await self._listed(key.tenant).members()

    async def note(self, courses: Sequence[CourseKey]) -> None:
        by_tenant: dict[str, list[str]] = defaultdict(list)
        for key in courses:
            by_tenant[key.tenant].append(key.course_id)
        for tenant, course_ids in by_tenant.items():
            await self._listed(tenant).add(course_ids)

    async def of_tenant(self, tenant: str, *, after: str, limit: int) -> list[str]:
        return sorted(name for name in await self._listed(tenant).members() if name > after)[:limit]

    def _listed(self, tenant: str) -> DaprIndex:
        return DaprIndex(self._state, f"courses:{tenant}")


def _word(value: Value | None) -> _CourseWord | None:
    return None if value is None else msgspec.convert(value.data, _CourseWord)


def _stored(word: _CourseWord) -> StoredCourse:
    return StoredCourse(word.version, unpack_course(b64decode(word.course)))
