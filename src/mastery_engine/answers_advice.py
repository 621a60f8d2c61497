"""What the calls about advice, paths and patterns answer."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mastery_engine.domain.advice import Action, Priority, Recommendation, recommendation_id
from mastery_engine.domain.curriculum import Curriculum
from mastery_engine.domain.moments import iso_date, rfc3339
from mastery_engine.domain.path import Goal, Step, Timetable
from mastery_engine.domain.patterns import Pattern, PatternKind
from mastery_engine.domain.struggle import Spell


class Recommended(msgspec.Struct, frozen=True):
    """A piece of advice. ``expected_gain`` is in mastery score, ``estimated_time`` in minutes."""

    recommendation_id: str
    action: Action
    area: str
    priority: Priority
    estimated_time: Annotated[int, Meta(ge=1)]
    expected_gain: Annotated[float, Meta(ge=0.0, le=1.0)]
    reason: str
    resources: Sequence[str]


class PathStep(msgspec.Struct, frozen=True):
    """One skill on the way to a goal, and why it is on it."""

    skill: str
    minutes: Annotated[int, Meta(ge=1)]
    reason: str


class PathAhead(msgspec.Struct, frozen=True):
    """The first steps of the way on, as last told."""

    goal: Literal["improve_mastery"]
    steps: list[PathStep]


class EstimatedCompletion(msgspec.Struct, frozen=True):
    """Days on which the path will be done: at the earliest, expected, at the latest."""

    earliest: str
    expected: str
    latest: str


class ScheduledDay(msgspec.Struct, frozen=True):
    """What to work on, on one day."""

    date: str
    skills: Sequence[str]


class LearningPath(msgspec.Struct, frozen=True):
    """The way to a goal: its steps in order, when it will be done, and what to do on which day."""

    student_id: str
    goal: Goal
    topic: str | None
    steps: list[PathStep]
    estimated_completion: EstimatedCompletion
    schedule: list[ScheduledDay]


class FoundPattern(msgspec.Struct, frozen=True):
    """What a tutor would notice: how strong it is (0 to 1), since which day, and on what evidence."""

    kind: PatternKind
    strength: Annotated[float, Meta(ge=0.0, le=1.0)]
    since: str
    evidence: str


class OpenStruggle(msgspec.Struct, frozen=True):
    """A topic on which the student is stuck, since when, and what says so."""

    topic: str
    pattern: str
    since: str
    evidence: str


class StudentPatterns(msgspec.Struct, frozen=True):
    """A student's patterns, the strongest first, and the struggles that are open."""

    student_id: str
    patterns: list[FoundPattern]
    struggles: list[OpenStruggle]


def recommended(
    advice: Sequence[Recommendation], tenant: str, student_id: str, curriculum: Curriculum
) -> list[Recommended]:
    """Advice as it is sent to this student."""
    return [
        Recommended(
            recommendation_id(tenant, student_id, one),
            one.action,
            one.area,
            one.priority,
            one.minutes,
            round(one.gain, 4),
            one.reason,
            curriculum.resources(one.area),
        )
        for one in advice
    ]


def path_ahead(steps: Sequence[Step]) -> PathAhead | None:
    return PathAhead("improve_mastery", path_steps(steps)) if steps else None


def path_steps(steps: Sequence[Step]) -> list[PathStep]:
    return [PathStep(step.skill, step.minutes, step.reason) for step in steps]


def learning_path(
    student_id: str, goal: Goal, topic: str | None, steps: Sequence[Step], timetable: Timetable
) -> LearningPath:
    """A path with its days as it is sent."""
    return LearningPath(
        student_id,
        goal,
        topic,
        path_steps(steps),
        EstimatedCompletion(*map(iso_date, (timetable.earliest, timetable.expected, timetable.latest))),
        [ScheduledDay(iso_date(day), skills) for day, skills in timetable.days],
    )


def student_patterns(
    student_id: str, patterns: Sequence[Pattern], struggles: Sequence[tuple[str, Spell]]
) -> StudentPatterns:
    """Patterns and open struggles as they are sent."""
    return StudentPatterns(
        student_id,
        [FoundPattern(one.kind, round(one.strength, 4), iso_date(one.since), one.evidence) for one in patterns],
        [OpenStruggle(topic, spell.trigger, rfc3339(spell.since), spell.evidence) for topic, spell in struggles],
    )
