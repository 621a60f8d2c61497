"""What calls send. A field that is None is left out, so that it stays or is what the engine takes by default.

Made by `make contracts` from the OpenAPI document; don't edit.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from mastery_client.answers import ComponentValues, CourseItem, Identity, Level, Module, Weights
from mastery_client.events import LearningEvent
from mastery_client.words import Aggregation, BatchPriority, Goal, Metric, Priority, WebhookChangeTypes


class Advise(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student; the most recommendations, and the lowest priority."""

    student_id: str
    course_id: str | None = None
    limit: int | None = None
    priority: Priority | None = None


class AskedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item that may be asked, and the skills that it exercises."""

    item_id: str
    skills: Sequence[str] | None = None


class RowBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """One calculation of a batch, as it is sent."""

    student_id: str
    components: ComponentValues | Mapping[str, Any] | None = None
    course_id: str | None = None


class BatchCalculate(msgspec.Struct, frozen=True, omit_defaults=True):
    """Many calculations. A row, {student_id, components, course_id}, is checked on its own: a bad one fails alone."""

    requests: Sequence[RowBody | Mapping[str, Any]]
    record: bool | None = None
    priority: BatchPriority | None = None


class GivenComponents(msgspec.Struct, frozen=True, omit_defaults=True):
    """The given components; the others come from the evidence."""

    completion: float | None = None
    quiz: float | None = None
    quality: float | None = None
    consistency: float | None = None


class Calculate(msgspec.Struct, frozen=True, omit_defaults=True):
    """A calculation; recorded unless ``record`` is false, or the caller may not record."""

    student_id: str
    course_id: str | None = None
    components: GivenComponents | Mapping[str, Any] | None = None
    record: bool | None = None


class ChangeRange(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """Which student, and between the ends of which days; by default from 7 days before ``to``, and until now."""

    student_id: str
    course_id: str | None = None
    from_: datetime.date | None = None
    to: datetime.date | None = None


class ChangedNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a note says from now on."""

    text: str


class OfferedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item to choose from, the skills that it exercises, and what a student is shown of it."""

    item_id: str
    skills: Sequence[str] | None = None
    title: str | None = None
    url: str | None = None


class ChooseItems(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student, from which items (else the course's), of which skill, how many, and how likely to be right."""

    student_id: str
    course_id: str | None = None
    items: Sequence[OfferedItem | Mapping[str, Any]] | None = None
    skill: str | None = None
    limit: int | None = None
    target: float | None = None


class CohortAnalytics(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which cohort; ``limit`` and ``cursor`` page through those who need help."""

    cohort_id: str
    limit: int | None = None
    cursor: str | None = None


class Compare(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student to compare with which cohort, and by which metric."""

    student_id: str
    cohort_id: str
    metric: Metric | None = None


class ConsentChanged(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a student allows from now on; a field that is left out changes nothing."""

    processing: bool | None = None
    profiling: bool | None = None


class CourseRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """A course's own rules; what is left out is as everywhere. ``half_life_days`` is that of quizzes and reviews."""

    weights: Weights | Mapping[str, Any] | None = None
    levels: Sequence[Level | Mapping[str, Any]] | None = None
    half_life_days: float | None = None


class Outline(msgspec.Struct, frozen=True, omit_defaults=True):
    """A curriculum as ``curriculum show --json`` prints it."""

    modules: Sequence[Module | Mapping[str, Any]]


class CourseChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What to set of a course; what is left out stays as it is.

    ``time_zone`` is an IANA name, ``language`` a BCP 47 tag. ``badges`` is the level at which a badge is issued, or
    null for none.
    """

    title: str | None = None
    time_zone: str | None = None
    language: str | None = None
    rules: CourseRules | Mapping[str, Any] | None = None
    curriculum: Outline | Mapping[str, Any] | None = None
    items: Sequence[CourseItem | Mapping[str, Any]] | None = None
    badges: str | UnsetType | None = UNSET


class DaysBack(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student, and how many days back."""

    student_id: str
    course_id: str | None = None
    days: int | None = None


class DueWork(msgspec.Struct, frozen=True, omit_defaults=True):
    """A day on which work is due; ``minutes`` is the amount of work."""

    due: datetime.date
    topic: str | None = None
    kind: str | None = None
    minutes: int | None = None


class FindPath(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student, and the goal. ``topic`` is a skill or a module of the course; ``master_topic`` needs one."""

    student_id: str
    course_id: str | None = None
    goal: Goal | None = None
    topic: str | None = None


class HistoryRange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student, and a range of days, both ends included; by default the whole retention."""

    student_id: str
    course_id: str | None = None
    start_date: datetime.date | None = None
    end_date: datetime.date | None = None
    aggregation: Aggregation | None = None


class ManyItems(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student, which items, and when they would be answered: now, or at a moment up to 30 days ahead."""

    student_id: str
    items: Sequence[AskedItem | Mapping[str, Any]]
    course_id: str | None = None
    at: datetime.datetime | int | None = None


class MasteryQuery(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student, and when: ``date`` asks for what was known on that day."""

    student_id: str
    course_id: str | None = None
    date: datetime.date | None = None
    include_components: bool | None = None


class NewNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """What to write down about a student, in plain text, in which course: else their only one, else ``default``."""

    text: str
    course_id: str | None = None


class NextWeek(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student, and how many days ahead."""

    student_id: str
    course_id: str | None = None
    timeframe_days: int | None = None


class OfStudent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which student, in which course: else their only one, else ``default``."""

    student_id: str
    course_id: str | None = None


class SecurityContext(msgspec.Struct, frozen=True, omit_defaults=True):
    """For whom the sidecar calls: the services of ``tenant``, or the bearer of ``token`` in the token's own tenant.

    Without ``tenant`` it is ``default``.
    """

    tenant: str | None = None
    token: str | None = None


class ProcessBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call by its intent; ``payload`` is the body of the call that the intent stands for."""

    intent: str
    payload: Mapping[str, Any]
    security_context: SecurityContext | Mapping[str, Any] | None = None


class ProfileChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What to set of a profile; what is left out stays, and null takes a name or a language away.

    ``language`` is a BCP 47 tag. ``external`` lists all identities of the person on other platforms.
    """

    display_name: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    external: Sequence[Identity | Mapping[str, Any]] | None = None


class PutCohort(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cohort as an admin sets it: ``members`` lists all of them; without ``calendar`` the old one stays.

    ``course_id`` is the course that the cohort belongs to: else as before, or that of the events that named it.
    """

    name: str
    members: Sequence[str]
    calendar: Sequence[DueWork | Mapping[str, Any]] | None = None
    course_id: str | None = None


class Rows(msgspec.Struct, frozen=True, omit_defaults=True):
    """Many events, each accepted or refused on its own."""

    events: Sequence[LearningEvent | Mapping[str, Any]]


class ShownName(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether a badge shows its student's name."""

    shown: bool


class WebhookChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a webhook is to be set. What is left out stays; a new one needs its ``url``.

    ``types`` are types of results, or ``mastery.results`` and ``mastery.events`` for all of a topic; a new webhook gets
    both unless it says. ``rotate_secret`` asks for a new secret, and the old one signs too for 24 hours. Without
    ``active`` it is active from now on, also if it was switched off.
    """

    url: str | None = None
    types: Sequence[WebhookChangeTypes] | None = None
    description: str | None = None
    rotate_secret: bool | None = None
    active: bool | None = None
