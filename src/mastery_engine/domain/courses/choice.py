"""Which of a student's courses a question is about."""

from collections.abc import Collection

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.errors import CourseRequired

MOST_NAMED = 10


def course_asked(known: Collection[str]) -> str:
    """The course of a question that names none, of the courses in which something is ``known`` about the student.

    It is the only one, else ``default`` if that is among them; ``default`` too where nothing is known. Raises
    CourseRequired, which names the courses.
    """
    if not known or DEFAULT_COURSE in known:
        return DEFAULT_COURSE
    if len(known) == 1:
        return next(iter(known))
    courses = sorted(known)
    named = ", ".join(courses[:MOST_NAMED])
    more = f" and {len(courses) - MOST_NAMED} more" if len(courses) > MOST_NAMED else ""
    raise CourseRequired(f"The student is in several courses: give course_id, one of {named}{more}.", courses)
