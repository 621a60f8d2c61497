"""What a course is known by."""

import pytest

from mastery_engine.domain.courses.course_key import CourseKey, course_named
from mastery_engine.errors import InvalidInput


def test_a_courses_id_has_one_spelling() -> None:
    for text in ("cafe\u0301", " café\t", "café"):
        assert course_named(text) == "café"
    assert CourseKey("school-1") == CourseKey("school-1", "default")


@pytest.mark.parametrize("text", ["", "  ", "a\x00", ".", "c" * 101])
def test_what_is_no_id_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        course_named(text, "course")
    assert refused.value.field == "course"
