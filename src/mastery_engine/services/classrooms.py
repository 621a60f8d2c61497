"""A teacher's class as their page shows it: who needs help, how each student fares, and who knows which skill."""

from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.needs_help import Sign, StruggleSign
from mastery_engine.domain.cohorts.standing import Standing
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.curriculum import Curriculum, Module, Skill
from mastery_engine.domain.evidence.changes import change_since
from mastery_engine.domain.evidence.history import Trend
from mastery_engine.domain.evidence.shown import shown_score, shown_scores
from mastery_engine.domain.moments import NEVER, Day, Micros
from mastery_engine.domain.skills.estimates import KNOWN, Outlook
from mastery_engine.domain.skills.skill_map import State, skill_map
from mastery_engine.domain.student import NOBODY, DocumentKey, Student
from mastery_engine.ports.documents import StoredDocument
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.reports import ClassStandings, Reports
from mastery_engine.services.skills import Skills
from mastery_engine.services.students import StudentInCourse, Students

WEEK = 7
LONGEST_TREND = 84

DayScores = list[tuple[Day, float]]
TO_TEACH: frozenset[State] = frozenset(("fading", "begun", "ready"))


class ClassStudent(msgspec.Struct, frozen=True):
    """One student of a class in a course.

    ``change`` is that of the last 7 days, in points of the score; ``scores`` are the days of the last twelve weeks with
    a score. ``latest`` is the time of the newest event, None where only older evidence counts. ``signs`` say why they
    need help, and are empty where they need none, or do not allow profiling.
    """

    student_id: str
    name: str | None
    course_id: str
    score: float
    level: str
    trend: Trend
    change: float
    scores: DayScores
    latest: Micros | None
    signs: tuple[Sign, ...]

    @property
    def stuck_on(self) -> tuple[str, ...]:
        """The topics on which they are stuck."""
        return tuple(topic.topic for sign in self.signs if isinstance(sign, StruggleSign) for topic in sign.topics)


class SkillCell(msgspec.Struct, frozen=True, gc=False):
    """A student's place in one skill: the state, and the probability of a right answer."""

    state: State
    probability: float

    @property
    def is_to_teach(self) -> bool:
        return self.state in TO_TEACH and self.probability < KNOWN


class SkillRow(msgspec.Struct, frozen=True):
    """A student's places in the skills of the course, in its order."""

    student_id: str
    name: str | None
    cells: tuple[SkillCell, ...]


class SkillsOfClass(msgspec.Struct, frozen=True):
    """Students by skills of one course; only of those who allow profiling.

    ``to_teach`` has for each skill the number of students who could be taught it now: what comes before it is known,
    and a right answer is less likely than of a known skill.
    """

    course_id: str
    skills: tuple[Skill, ...]
    rows: list[SkillRow]
    to_teach: dict[str, int]

    def group(self, skill_id: str) -> list[tuple[SkillRow, SkillCell]]:
        """Who could be taught a skill now, those who know it least first."""
        place = [skill.id for skill in self.skills].index(skill_id)
        found = [(row, row.cells[place]) for row in self.rows if row.cells[place].is_to_teach]
        return sorted(found, key=lambda one: (one[1].probability, one[0].student_id))


class Classroom(msgspec.Struct, frozen=True):
    """A class: those who need help come first, in the order of every list, then the others by their score.

    ``of_all`` is how many students the teacher has, ``unknown`` those about whom nothing is known. ``average`` and
    ``days`` (the mean score of each day that is known of the last twelve weeks) are of those who allow profiling.
    ``titles`` are the teacher's classes, ``courses`` those that the students are shown in, ``levels`` their levels.
    """

    students: list[ClassStudent]
    unknown: list[str]
    of_all: int
    average: float | None
    days: DayScores
    titles: dict[str, str]
    courses: list[str]
    levels: list[str]
    skills: SkillsOfClass | None
    modules: tuple[Module, ...]
    language: str | None


class Classrooms:
    """Reads classes; every student who is shown is recorded in the audit trail."""

    def __init__(self, students: Students, reports: Reports, skills: Skills, cohorts: Cohorts, clock: Clock) -> None:
        self._students = students
        self._reports = reports
        self._skills = skills
        self._cohorts = cohorts
        self._clock = clock

    async def of(self, caller: Caller, *, course_id: str | None = None, cohort_id: str | None = None) -> Classroom:
        """A teacher's students: all of theirs, or those of one course or one cohort. Raises Forbidden."""
        now = caller.moment(self._clock)
        titles = await self._cohorts.titles(caller, now)
        narrowed = caller if cohort_id is None else await self._cohorts.narrowed(caller, cohort_id, now)
        found = await self._reports.own_standings(narrowed, course_id=course_id)
        keys = [DocumentKey(caller.tenant, one.student_id, setup.key.course_id) for setup, one in found.students]
        documents = dict(zip(keys, await self._students.load(keys), strict=True))
        shown = [
            _class_student(setup, one, document, found.names.get(one.student_id), now)
            for (setup, one), document in zip(found.students, documents.values(), strict=True)
        ]
        allowed = {one.student_id for _, one in found.profiled}
        setups = {setup.key: setup for setup, _ in found.students}
        first = next(iter(setups.values()), None)
        return Classroom(
            shown,
            found.unknown,
            len(narrowed.students),
            found.average,
            _mean_days([one.scores for one in shown if one.student_id in allowed]),
            titles,
            sorted(key.course_id for key in setups),
            list(dict.fromkeys(level.name for setup in setups.values() for level in setup.rules.levels)),
            None if first is None else self._skills_of(found, documents, allowed, first, now),
            tuple([module for setup in setups.values() for module in setup.curriculum.modules]),
            None if first is None else first.course.language,
        )

    def _skills_of(
        self,
        found: ClassStandings,
        documents: Mapping[DocumentKey, Student],
        allowed: set[str],
        setup: CourseSetup,
        now: Micros,
    ) -> SkillsOfClass | None:
        """Who knows what in one course."""
        curriculum: Curriculum = setup.curriculum
        if not curriculum.skills:
            return None
        in_order = [skill.id for module in curriculum.modules for skill in module.skills]
        rows: list[SkillRow] = []
        today = setup.rules.day_of(now)
        for of, one in found.students:
            if of.key != setup.key or one.student_id not in allowed:
                continue
            key = DocumentKey(setup.key.tenant, one.student_id, setup.key.course_id)
            in_course = StudentInCourse(key, StoredDocument(1, documents[key]), setup, now, {}, today)
            view = self._skills.outlook(in_course)
            rows.append(_skill_row(view, in_order, one.student_id, found.names.get(one.student_id)))
        to_teach = {name: sum(row.cells[place].is_to_teach for row in rows) for place, name in enumerate(in_order)}
        return SkillsOfClass(setup.key.course_id, tuple([curriculum.skills[name] for name in in_order]), rows, to_teach)


def _class_student(setup: CourseSetup, one: Standing, student: Student, name: str | None, now: Micros) -> ClassStudent:
    rules = setup.rules
    today, shown = rules.day_of(now), shown_score(one.score, rules)
    scores = shown_scores(student.history, rules, first=max(today - LONGEST_TREND, rules.first_day(today)), last=today)
    if not scores or scores[-1][0] != today:
        scores = [*scores, (today, shown)]
    else:
        scores[-1] = (today, shown)
    return ClassStudent(
        one.student_id,
        name,
        setup.key.course_id,
        shown,
        rules.levels[one.rank].name,
        one.trend,
        change_since(student, today - WEEK, now, rules) if student is not NOBODY else 0.0,
        scores,
        None if student.latest == NEVER else student.latest,
        one.signs,
    )


def _skill_row(view: Outlook, in_order: Sequence[str], student_id: str, name: str | None) -> SkillRow:
    by_id = {one.skill.id: SkillCell(one.state, one.estimate.probability) for one in skill_map(view)}
    return SkillRow(student_id, name, tuple([by_id[skill_id] for skill_id in in_order]))


def _mean_days(of_students: Sequence[DayScores]) -> DayScores:
    """The mean of each day, where a student has the last score known by then; from the first day of anybody's."""
    known = [dict(scores) for scores in of_students if scores]
    if not known:
        return []
    first, last = min(min(one) for one in known), max(max(one) for one in known)
    latest: list[float | None] = [None] * len(known)
    days: DayScores = []
    for day in range(first, last + 1):
        latest = [one.get(day, before) for one, before in zip(known, latest, strict=True)]
        there = [score for score in latest if score is not None]
        days.append((day, sum(there) / len(there)))
    return days
