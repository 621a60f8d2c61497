"""The answers about people: profiles, and who is found by name."""

from collections.abc import Sequence

import msgspec

from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.people.profile import Profile


class ProfileRecord(msgspec.Struct, frozen=True):
    """A student's profile; null where nobody set a name or a language."""

    student_id: str
    display_name: str | None
    language: str | None
    external: list[Identity]


class FoundStudent(msgspec.Struct, frozen=True):
    """A student whom the caller may see, with their name, null where nobody set one.

    ``cohorts`` are those that the student is in, of those that the caller may see.
    """

    student_id: str
    display_name: str | None
    cohorts: list[str]


class StudentList(msgspec.Struct, frozen=True):
    """A page of students, by id; ``next_cursor`` leads to the next one, null on the last."""

    students: list[FoundStudent]
    next_cursor: str | None


def profile_record(student_id: str, profile: Profile) -> ProfileRecord:
    return ProfileRecord(student_id, profile.display_name, profile.language, list(profile.external))


def found_student(student_id: str, profile: Profile, cohorts: Sequence[str]) -> FoundStudent:
    return FoundStudent(student_id, profile.display_name, list(cohorts))
