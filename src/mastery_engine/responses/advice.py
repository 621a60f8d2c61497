"""The answers about advice, learning paths and patterns."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mastery_engine.domain.advice.learning_path import Goal, Step, Timetable
from mastery_engine.domain.advice.patterns import Pattern, PatternKind
from mastery_engine.domain.advice.recommendation import Action, Recommendation
from mastery_engine.domain.advice.struggle import Spell
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.moments import iso_date, rfc3339
from mastery_engine.domain.results import AdviceSent, PathStep, path_steps, sent_fields
from mastery_engine.domain.student import DocumentKey
from mastery_engine.responses.times import DateText, MomentText


class Recommended(AdviceSent, frozen=True):
    """A piece of advice. ``expected_gain`` is in points of the mastery score, 0 to 1; ``estimated_time`` in minutes."""

    resources: tuple[str, ...]


class NextStep(msgspec.Struct, frozen=True):
    """A piece of advice for a page, which says it in its own words; ``gain`` and ``minutes`` are as it is sent.

    ``steps`` counts exercises, questions, submissions or days. ``rises`` says that practice would make a right answer
    likelier, ``begun`` that there is something already which it would better. ``link`` leads to where it is done: an
    item of the course, named by ``link_title`` where it has a title, or a resource; None where there is neither.
    ``stuck_on`` is the title of the skill on which the student is stuck, where the advice is of its module: the
    link is that skill's then.
    """

    action: Action
    area: str
    title: str
    minutes: int
    gain: float
    steps: int
    rises: bool
    begun: bool
    urgent: bool
    is_skill: bool
    link: str | None
    link_title: str | None = None
    stuck_on: str | None = None


class PathAhead(msgspec.Struct, frozen=True, gc=False):
    """The first steps of the learning path to this goal, as ``/recommendations/learning-path`` gives it too."""

    goal: Literal["improve_mastery"]
    steps: list[PathStep]


class EstimatedCompletion(msgspec.Struct, frozen=True):
    """The days on which the path will be done: at the earliest, expected, and at the latest."""

    earliest: DateText
    expected: DateText
    latest: DateText


class ScheduledDay(msgspec.Struct, frozen=True):
    """What to work on, on one day."""

    date: DateText
    skills: Sequence[str]


class LearningPath(msgspec.Struct, frozen=True):
    """The path to a goal: its steps in order, when it will be done, and what to do on each day."""

    student_id: str
    goal: Goal
    topic: str | None
    steps: list[PathStep]
    estimated_completion: EstimatedCompletion
    schedule: list[ScheduledDay]


class FoundPattern(msgspec.Struct, frozen=True):
    """A pattern that a tutor would notice: its strength (0 to 1), the day since when it holds, and the evidence."""

    kind: PatternKind
    strength: Annotated[float, Meta(ge=0.0, le=1.0)]
    since: DateText
    evidence: str


class OpenStruggle(msgspec.Struct, frozen=True):
    """A topic on which the student is stuck, since when, and the evidence."""

    topic: str
    pattern: str
    since: MomentText
    evidence: str


class StudentPatterns(msgspec.Struct, frozen=True):
    """A student's patterns, the strongest first, and the struggles that are open."""

    student_id: str
    patterns: list[FoundPattern]
    struggles: list[OpenStruggle]


def recommended(advice: Sequence[Recommendation], key: DocumentKey, curriculum: Curriculum) -> list[Recommended]:
    """Advice as it is sent to this student, in this course."""
    return [Recommended(*sent_fields(*key, one), curriculum.resources(one.area)) for one in advice]


def next_step(piece: Recommendation, curriculum: Curriculum, struggles: Iterable[str] = ()) -> NextStep:
    """A piece of advice as a page says it, with the first resource of its skill; ``struggles`` are the open ones."""
    skill = curriculum.skills.get(piece.area)
    stuck_on = next((topic for topic in struggles if curriculum.module_of.get(topic) == piece.area), None)
    return NextStep(
        piece.action,
        piece.area,
        _title(piece.area, curriculum),
        piece.minutes,
        piece.gain,
        piece.steps,
        piece.after > piece.before,
        piece.before > 0.0,
        piece.urgent,
        skill is not None,
        next(iter(curriculum.resources(stuck_on or piece.area)), None),
        stuck_on=None if stuck_on is None else curriculum.skills[stuck_on].title,
    )


def _title(area: str, curriculum: Curriculum) -> str:
    """The title of a skill or a module; anything else by its own name."""
    if area in curriculum.skills:
        return curriculum.skills[area].title
    return next((module.title for module in curriculum.modules if module.id == area), area)


def path_ahead(steps: Sequence[Step]) -> PathAhead | None:
    return PathAhead("improve_mastery", path_steps(steps)) if steps else None


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
