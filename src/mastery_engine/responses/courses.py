"""The answers about courses."""

import msgspec

from mastery_engine.domain.courses.course import CourseItem, CourseSetup
from mastery_engine.domain.courses.curriculum import Module
from mastery_engine.domain.rules import Level, Weights


class RulesRecord(msgspec.Struct, frozen=True):
    """The rules that hold in a course. ``half_life_days`` is that of quizzes and reviews."""

    weights: Weights
    levels: list[Level]
    half_life_days: float


class OutlineRecord(msgspec.Struct, frozen=True):
    """A course's modules, with their skills."""

    modules: list[Module]


class CourseRecord(msgspec.Struct, frozen=True):
    """A course as it holds now, whatever of it was set, and the rest by default.

    ``version`` counts the changes: 0 where nobody has set anything. ``badges`` is the level at which a badge is issued.
    """

    course_id: str
    title: str
    time_zone: str
    language: str
    rules: RulesRecord
    curriculum: OutlineRecord
    items: list[CourseItem]
    badges: str | None
    version: int


class CourseEntry(msgspec.Struct, frozen=True):
    """A course in the list of them."""

    course_id: str
    title: str
    time_zone: str
    language: str
    skills: int
    items: int
    version: int


class CourseList(msgspec.Struct, frozen=True):
    """A page of a tenant's courses, by id; ``next_cursor`` leads to the next one, null on the last."""

    courses: list[CourseEntry]
    next_cursor: str | None


def course_record(setup: CourseSetup) -> CourseRecord:
    rules = setup.rules
    return CourseRecord(
        setup.key.course_id,
        setup.title,
        rules.zone.name,
        setup.language,
        RulesRecord(rules.weights, list(rules.levels), rules.half_life_days),
        OutlineRecord(list(setup.curriculum.modules)),
        list(setup.course.items),
        setup.course.badges,
        setup.version,
    )


def course_entry(setup: CourseSetup) -> CourseEntry:
    skills, items = len(setup.curriculum.skills), len(setup.course.items)
    return CourseEntry(
        setup.key.course_id, setup.title, setup.rules.zone.name, setup.language, skills, items, setup.version
    )
