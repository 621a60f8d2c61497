"""A course of a school: what an admin sets of it, and what follows from that for who folds and who asks.

``Course`` is what the store has; ``setup_of`` puts it beside the rules and the curriculum of the installation. A course
that nobody set has the default rules and no curriculum; ``default`` has those of ``RULES_FILE`` and
``CURRICULUM_FILE`` wherever it does not say otherwise itself.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.courses.curriculum import (
    LONGEST_MINUTES,
    NO_CURRICULUM,
    Curriculum,
    Module,
    curriculum_in,
    curriculum_of,
)
from mastery_engine.domain.courses.zone import UTC, zone_named
from mastery_engine.domain.events.kinds import Difficulty
from mastery_engine.domain.given_ids import LONGEST_ID, LONGEST_NAME, is_address, normal_id
from mastery_engine.domain.language import check_language
from mastery_engine.domain.rules import DEFAULT_LEVELS, Level, Rules, Weights
from mastery_engine.errors import InvalidInput

MOST_ITEMS = 20_000
MOST_SKILLS = 8  # of an item, as of an answer
LONGEST_TITLE = 200
LONGEST_ADDRESS = 1_000

Title: TypeAlias = Annotated[str, Meta(min_length=1, max_length=LONGEST_TITLE)]


class CourseItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An item of a course: the skills that it exercises, and what is shown of it; ``minutes`` is the time it takes."""

    item_id: Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)]
    skills: Annotated[tuple[str, ...], Meta(max_length=MOST_SKILLS)] = ()
    title: Title | None = None
    url: Annotated[str, Meta(max_length=LONGEST_ADDRESS)] | None = None
    minutes: Annotated[int, Meta(ge=1, le=LONGEST_MINUTES)] | None = None
    difficulty: Difficulty | None = None


class CourseRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A course's own rules; what is left out is as everywhere. ``half_life_days`` is that of quizzes and reviews."""

    weights: Weights | None = None
    levels: Annotated[tuple[Level, ...], Meta(min_length=1, max_length=16)] | None = None
    half_life_days: Annotated[float, Meta(ge=1, le=3_650)] | None = None


class Outline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A curriculum as ``curriculum show --json`` prints it."""

    modules: tuple[Module, ...]


class CourseChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to set of a course; what is left out stays as it is.

    ``time_zone`` is an IANA name, ``language`` a BCP 47 tag. ``badges`` is the level at which a badge is issued, or
    null for none.
    """

    title: Title | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    rules: CourseRules | UnsetType = UNSET
    curriculum: Outline | UnsetType = UNSET
    items: Annotated[tuple[CourseItem, ...], Meta(max_length=MOST_ITEMS)] | UnsetType = UNSET
    badges: str | UnsetType | None = UNSET


class Course(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was set of a course; what never was is None, or empty."""

    title: str | None = None
    time_zone: str | None = None
    language: str | None = None
    rules: CourseRules | None = None
    modules: tuple[Module, ...] | None = None
    items: tuple[CourseItem, ...] = ()
    badges: str | None = None

    def changed(self, change: CourseChange) -> "Course":
        """The course after a change. Raises InvalidInput, which names the field, where a part of it is wrong."""
        return Course(
            self.title if change.title is UNSET else normal_id(change.title, "title", LONGEST_TITLE),
            self.time_zone if change.time_zone is UNSET else zone_named(change.time_zone).name,
            self.language if change.language is UNSET else check_language(change.language),
            self.rules if change.rules is UNSET else _with(self.rules, change.rules),
            self.modules if change.curriculum is UNSET else _modules(change.curriculum),
            self.items if change.items is UNSET else _items(change.items),
            self.badges if change.badges is UNSET else change.badges,
        )


NO_COURSE = Course()


class CourseSetup(msgspec.Struct, frozen=True, dict=True):
    """A course as folds and answers need it. ``version`` counts its changes: 0 where nobody has set it."""

    key: CourseKey
    version: int
    course: Course
    rules: Rules
    curriculum: Curriculum

    @property
    def title(self) -> str:
        return self.course.title or self.key.course_id

    @property
    def language(self) -> str:
        return self.course.language or "en"

    @cached_property
    def items(self) -> Mapping[str, CourseItem]:
        """The course's items by their ids, in the order in which they were given."""
        return MappingProxyType({item.item_id: item for item in self.course.items})

    @cached_property
    def skills_of_items(self) -> Mapping[str, tuple[str, ...]]:
        """The skills of each item that names any."""
        return MappingProxyType({item.item_id: item.skills for item in self.course.items if item.skills})


def setup_of(key: CourseKey, version: int, course: Course, rules: Rules, curriculum: Curriculum) -> CourseSetup:
    """The course beside what holds in this installation: ``rules`` and ``curriculum`` are those of its files.

    Raises InvalidInput where the course's rules are wrong.
    """
    is_default = key.course_id == DEFAULT_COURSE
    own = course.rules or CourseRules()
    base = rules if is_default else Rules(retention_days=rules.retention_days)
    with within("rules"):
        effective = Rules(
            weights=own.weights or base.weights,
            levels=own.levels or base.levels,
            difficulty=base.difficulty,
            retention_days=base.retention_days,
            half_life_days=base.half_life_days if own.half_life_days is None else own.half_life_days,
            zone=UTC if course.time_zone is None else zone_named(course.time_zone),
        )
    if course.modules is None:
        return CourseSetup(key, version, course, effective, curriculum if is_default else NO_CURRICULUM)
    return CourseSetup(key, version, course, effective, curriculum_of(course.modules))


def check_badges(setup: CourseSetup) -> None:
    """Raises InvalidInput where a course's badge is of a level that its rules lack."""
    levels = [level.name for level in setup.rules.levels]
    if setup.course.badges is not None and setup.course.badges not in levels:
        raise InvalidInput(f"badges must be a level of the course ({', '.join(levels)}) or null.", field="badges")


def _with(before: CourseRules | None, change: CourseRules) -> CourseRules:
    """The rules after a change: what it leaves out stays. Raises InvalidInput for what makes no sense anywhere."""
    own = before or CourseRules()
    levels = change.levels and tuple(
        Level(normal_id(level.name, f"rules.levels[{place}].name", LONGEST_NAME), level.from_score)
        for place, level in enumerate(change.levels)
    )
    with within("rules"):
        Rules(weights=change.weights or Weights(), levels=levels or DEFAULT_LEVELS, retention_days=1)
    return CourseRules(
        change.weights or own.weights,
        levels or own.levels,
        own.half_life_days if change.half_life_days is None else change.half_life_days,
    )


@contextmanager
def within(part: str) -> Iterator[None]:
    """An error about a field of the part names the part too."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(error.message, field=f"{part}.{error.field}") from error


def _modules(outline: Outline) -> tuple[Module, ...]:
    try:
        return curriculum_in(msgspec.to_builtins(outline)).modules
    except InvalidInput as error:
        raise InvalidInput(error.message, field="curriculum") from error


def _items(items: tuple[CourseItem, ...]) -> tuple[CourseItem, ...]:
    """The items with their ids in the form that events have them in."""
    checked: dict[str, CourseItem] = {}
    for place, item in enumerate(items):
        entry = f"items[{place}]"
        name = normal_id(item.item_id, f"{entry}.item_id", LONGEST_ID)
        if name in checked:
            raise InvalidInput(f"{entry}.item_id {name[:100]!r} is given twice.", field=f"{entry}.item_id")
        if item.url is not None and not is_address(item.url):
            raise InvalidInput(f"{entry}.url must be an address that begins with https://.", field=f"{entry}.url")
        skills = [normal_id(skill, f"{entry}.skills", LONGEST_NAME) for skill in item.skills]
        title = None if item.title is None else normal_id(item.title, f"{entry}.title", LONGEST_TITLE)
        checked[name] = CourseItem(name, tuple(dict.fromkeys(skills)), title, item.url, item.minutes, item.difficulty)
    return tuple(checked.values())
