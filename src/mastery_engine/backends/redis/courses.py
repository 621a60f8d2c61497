"""Courses in Redis: each led by its version, and the ids of a tenant's courses, sorted by their bytes."""

from collections.abc import Sequence
from typing import Any

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import Client, values_of
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.backends.redis.keys import VERSION_BYTES
from mastery_engine.domain.courses.course import Course
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.ports.courses import StoredCourse, pack_course, unpack_course

PUT = """
if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[3])
return 1
"""


class RedisCourses:
    """See ``CourseStore``."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    @or_unavailable
    async def load(self, courses: Sequence[CourseKey]) -> list[StoredCourse]:
        values = await values_of(self._client, [names.course(key) for key in courses])
        return [
            StoredCourse() if value is None else StoredCourse(_version(value), unpack_course(value[VERSION_BYTES:]))
            for value in values
        ]

    @or_unavailable
    async def versions(self, courses: Sequence[CourseKey]) -> list[int]:
        pipeline = self._client.pipeline(transaction=False)
        for key in courses:
            pipeline.getrange(names.course(key), 0, VERSION_BYTES - 1)
        return [_version(value) for value in await pipeline.execute()]

    @or_unavailable
    async def put(self, key: CourseKey, version: int, course: Course) -> bool:
        expected = version.to_bytes(VERSION_BYTES, "big") if version else b""
        value = (version + 1).to_bytes(VERSION_BYTES, "big") + pack_course(course)
        written = names.course(key), names.courses(key.tenant)
        return bool(await self._client.eval(PUT, len(written), *written, expected, value, key.course_id))

    @or_unavailable
    async def has(self, key: CourseKey) -> bool:
        return await self._client.zscore(names.courses(key.tenant), key.course_id) is not None

    @or_unavailable
    async def note(self, courses: Sequence[CourseKey]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key in courses:
            pipeline.zadd(names.courses(key.tenant), {key.course_id: 0})
        await pipeline.execute()

    @or_unavailable
    async def of_tenant(self, tenant: str, *, after: str, limit: int) -> list[str]:
        first = b"-" if not after else b"(" + after.encode()
        found = await self._client.zrangebylex(names.courses(tenant), first, b"+", start=0, num=limit)
        return [name.decode() for name in found]


def _version(value: bytes) -> int:
    return int.from_bytes(value[:VERSION_BYTES], "big")
