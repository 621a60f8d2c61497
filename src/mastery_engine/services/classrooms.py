"""A teacher's class as their page shows it: who needs help, how each student fares, and who knows which skill."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.needs_help import Sign, StruggleSign
from mastery_engine.domain.cohorts.standing import Standing
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.curriculum import Curriculum, Module, Skill
from mastery_engine.domain.evidence.changes import change_since, score_and_change
from mastery_engine.domain.evidence.history import Trend
from mastery_engine.domain.evidence.shown import shown_score, shown_scores
from mastery_engine.domain.moments import NEVER, Day, DaySpan, Micros, day_of
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


class ChosenDays(msgspec.Struct, frozen=True):
    """The days of which a class is to be shown: to ``last``, else today, from ``first``, else so many days before."""

    first: Day | None = None
    last: Day | None = None
    back: int = WEEK


class ClassStudent(msgspec.Struct, frozen=True):
    """One student of a class in a course.

    ``score``, ``level`` and ``change`` are those of the class's days; where nothing was known by then the level is
    empty and ``is_known`` is not set. ``scores`` are the days up to then with a score, ``score_now`` is today's.
    ``latest`` is the time of the newest event, None where only older evidence counts. ``signs`` say why they need help,
    and are empty where they need none, or do not allow profiling.
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
    score_now: float
    is_known: bool = True

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
    ``days`` (the mean score of each day) are of those who allow profiling. ``span`` are the days that are shown: of the
    usual ones the changes alone, of chosen ones (``is_chosen``) scores, changes and ``days``; ``known`` are those that
    may be chosen. Who needs help, and the skills, are always of today.
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
    span: DaySpan
    known: DaySpan
    is_chosen: bool


class Classrooms:
    """Reads classes; every student who is shown is recorded in the audit trail."""

    def __init__(self, students: Students, reports: Reports, skills: Skills, cohorts: Cohorts, clock: Clock) -> None:
        self._students = students
        self._reports = reports
        self._skills = skills
        self._cohorts = cohorts
        self._clock = clock

    async def of(
        self,
        caller: Caller,
        *,
        course_id: str | None = None,
        cohort_id: str | None = None,
        chosen: ChosenDays | None = None,
    ) -> Classroom:
        """A teacher's students: all of theirs, or those of one course or one cohort. Raises Forbidden.

        Chosen days that are not known are taken for the nearest that are.
        """
        now = caller.moment(self._clock)
        titles = await self._cohorts.titles(caller, now)
        narrowed = caller if cohort_id is None else await self._cohorts.narrowed(caller, cohort_id, now)
        found = await self._reports.own_standings(narrowed, course_id=course_id)
        keys = [DocumentKey(caller.tenant, one.student_id, setup.key.course_id) for setup, one in found.students]
        documents = dict(zip(keys, await self._students.load(keys), strict=True))
        setups = {setup.key: setup for setup, _ in found.students}
        known = _known_days(setups.values(), now)
        span = _span(chosen or ChosenDays(), known)
        asked = None if chosen is None else span
        shown = [
            _class_student(setup, one, document, found.names.get(one.student_id), now, asked)
            for (setup, one), document in zip(found.students, documents.values(), strict=True)
        ]
        allowed = {one.student_id for _, one in found.profiled}
        first = next(iter(setups.values()), None)
        return Classroom(
            shown,
            found.unknown,
            len(narrowed.students),
            found.average if span.last == known.last else _average(shown, allowed),
            _mean_days([one.scores for one in shown if one.student_id in allowed], asked),
            titles,
            sorted(key.course_id for key in setups),
            list(dict.fromkeys(level.name for setup in setups.values() for level in setup.rules.levels)),
            None if first is None else self._skills_of(found, documents, allowed, first, now),
            tuple([module for setup in setups.values() for module in setup.curriculum.modules]),
            None if first is None else first.course.language,
            span,
            known,
            chosen is not None,
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


def _known_days(setups: Iterable[CourseSetup], now: Micros) -> DaySpan:
    """The first and the last of the days that courses have, by their time zones."""
    days = [(setup.rules.first_day(setup.rules.day_of(now)), setup.rules.day_of(now)) for setup in setups]
    days = days or [(day_of(now), day_of(now))]
    return DaySpan(min(first for first, _ in days), max(today for _, today in days))


def _span(chosen: ChosenDays, known: DaySpan) -> DaySpan:
    last = known.last if chosen.last is None else min(max(chosen.last, known.first), known.last)
    first = last - chosen.back if chosen.first is None else chosen.first
    return DaySpan(min(max(first, known.first), last), last)


def _average(shown: Sequence[ClassStudent], allowed: Collection[str]) -> float | None:
    scores = [one.score for one in shown if one.is_known and one.student_id in allowed]
    return sum(scores) / len(scores) if scores else None


def _class_student(
    setup: CourseSetup, one: Standing, student: Student, name: str | None, now: Micros, span: DaySpan | None
) -> ClassStudent:
    rules = setup.rules
    today, now_shown = rules.day_of(now), shown_score(one.score, rules)
    shown, level, since = now_shown, rules.levels[one.rank].name, max(today - LONGEST_TREND, rules.first_day(today))
    last, is_known = today, True
    if span is None:
        change = change_since(student, today - WEEK, now, rules) if student is not NOBODY else 0.0
    else:
        last, since = min(span.last, today), rules.first_day(today)
        then, change = score_and_change(student, DaySpan(min(span.first, last), last), now, rules)
        is_known = then is not None
        if last < today:
            shown = 0.0 if then is None else shown_score(then, rules)
            level = rules.levels[rules.level_index(shown)].name if is_known else ""
    scores = shown_scores(student.history, rules, first=since, last=last)
    if scores and scores[-1][0] == last:
        scores[-1] = (last, shown)
    elif is_known:
        scores = [*scores, (last, shown)]
    return ClassStudent(
        one.student_id,
        name,
        setup.key.course_id,
        shown,
        level,
        one.trend,
        change,
        scores,
        None if student.latest == NEVER else student.latest,
        one.signs,
        now_shown,
        is_known,
    )


def _skill_row(view: Outlook, in_order: Sequence[str], student_id: str, name: str | None) -> SkillRow:
    by_id = {one.skill.id: SkillCell(one.state, one.estimate.probability) for one in skill_map(view)}
    return SkillRow(student_id, name, tuple([by_id[skill_id] for skill_id in in_order]))


def _mean_days(of_students: Sequence[DayScores], span: DaySpan | None) -> DayScores:
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
    return days if span is None else [one for one in days if span.first <= one[0] <= span.last]
