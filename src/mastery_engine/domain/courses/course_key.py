"""What a course is known by."""

from typing import NamedTuple

from mastery_engine.domain.given_ids import LONGEST_NAME, KnownIds

DEFAULT_COURSE = "default"
KNOWN_COURSES = KnownIds(LONGEST_NAME)


class CourseKey(NamedTuple):
    """A course's tenant and id; events that name no course are of ``DEFAULT_COURSE``."""

    tenant: str
    course_id: str = DEFAULT_COURSE


def course_named(course_id: str, field: str = "course_id") -> str:
    """The course's id in its one spelling. Raises InvalidInput, which names the field."""
    return course_id if course_id in KNOWN_COURSES else KNOWN_COURSES.spelled(course_id, field)
