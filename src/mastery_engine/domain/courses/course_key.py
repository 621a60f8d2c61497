"""What a course is known by."""

from typing import NamedTuple

DEFAULT_COURSE = "default"


class CourseKey(NamedTuple):
    """A course's tenant and id; events that name no course are of ``DEFAULT_COURSE``."""

    tenant: str
    course_id: str = DEFAULT_COURSE
