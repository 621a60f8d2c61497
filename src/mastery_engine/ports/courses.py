"""What admins set of each course, and which courses there are. It is about no single student."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from mastery_engine.domain.courses.course import NO_COURSE, Course
from mastery_engine.domain.courses.course_key import CourseKey


class StoredCourse(msgspec.Struct, frozen=True):
    """A course with the number of its changes: 0, and nothing set, where nobody has set it."""

    version: int = 0
    course: Course = NO_COURSE


class CourseStore(Protocol):
    """Courses by tenant and id, for good. All calls raise Unavailable when the store is away."""

    async def load(self, courses: Sequence[CourseKey]) -> list[StoredCourse]:
        """The courses, in the order of the keys."""
        ...

    async def versions(self, courses: Sequence[CourseKey]) -> list[int]:
        """The numbers of the courses' changes, which cost little to ask for."""
        ...

    async def put(self, key: CourseKey, version: int, course: Course) -> bool:
        """Set a course where ``version`` is still the store's; durable on return. False where it lost."""
        ...

    async def has(self, key: CourseKey) -> bool:
        """Whether there is this course: somebody set it, or it was noted."""
        ...

    async def note(self, courses: Sequence[CourseKey]) -> None:
        """Note that there are these courses, whether or not anybody has set them; durable on return."""
        ...

    async def of_tenant(self, tenant: str, *, after: str, limit: int) -> list[str]:
        """The ids, in their order by code point, of up to ``limit`` courses of a tenant that come after ``after``."""
        ...


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Course).decode


def pack_course(course: Course) -> bytes:
    """A course as stores keep it. A later engine may add fields: they are passed over here."""
    return _encode(course)


def unpack_course(packed: bytes) -> Course:
    return _decode(packed)
