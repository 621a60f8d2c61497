"""Courses in memory."""

from collections.abc import Sequence

from mastery_engine.domain.courses.course import Course
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.ports.courses import StoredCourse


class MemoryCourses:
    """See ``CourseStore``."""

    def __init__(self) -> None:
        self._courses: dict[CourseKey, StoredCourse] = {}

    async def load(self, courses: Sequence[CourseKey]) -> list[StoredCourse]:
        return [self._courses.get(key, StoredCourse()) for key in courses]

    async def versions(self, courses: Sequence[CourseKey]) -> list[int]:
        return [stored.version for stored in await self.load(courses)]

    async def put(self, key: CourseKey, version: int, course: Course) -> bool:
        if self._courses.get(key, StoredCourse()).version != version:
            return False
        self._courses[key] = StoredCourse(version + 1, course)
        return True

    async def has(self, key: CourseKey) -> bool:
        return key in self._courses

    async def note(self, courses: Sequence[CourseKey]) -> None:
        for key in courses:
            self._courses.setdefault(key, StoredCourse())

    async def of_tenant(self, tenant: str, *, after: str, limit: int) -> list[str]:
        return sorted(key.course_id for key in self._courses if key.tenant == tenant and key.course_id > after)[:limit]
