"""Which of a student's courses a question is about that names none."""

import pytest

from mastery_engine.domain.courses.choice import MOST_NAMED, course_asked
from mastery_engine.errors import CourseRequired


@pytest.mark.parametrize(
    ("known", "course_id"),
    [
        ([], "default"),
        (["default"], "default"),
        (["physics"], "physics"),
        (["art", "default", "physics"], "default"),
    ],
)
def test_it_is_the_only_one_else_default(known: list[str], course_id: str) -> None:
    assert course_asked(known) == course_id


def test_of_several_without_default_one_must_be_named() -> None:
    with pytest.raises(CourseRequired) as raised:
        course_asked({"physics", "art"})
    assert raised.value.message == "The student is in several courses: give course_id, one of art, physics."
    assert (raised.value.field, raised.value.courses, raised.value.code) == (
        "course_id",
        ("art", "physics"),
        "COURSE_REQUIRED",
    )


def test_of_many_some_are_named_in_the_sentence_and_all_beside_it() -> None:
    many = [f"c{number:02}" for number in range(MOST_NAMED + 3)]
    with pytest.raises(CourseRequired, match=f"c{MOST_NAMED - 1:02} and 3 more") as raised:
        course_asked(many)
    assert raised.value.courses == tuple(many)
