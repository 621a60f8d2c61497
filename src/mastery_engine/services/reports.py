"""Reports: the explanation of a score, and several students at a glance."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.standing import Standing, those_who_need_help_first
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.evidence.explanation import costs
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.evidence.shown import at_least, shown_score
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.rules import Component, Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import CourseRequired, InvalidInput
from mastery_engine.responses.cohorts import mean_score
from mastery_engine.responses.help import reasons
from mastery_engine.responses.reports import ClassGlance, Cost, Explanation, Glance
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.member_standings import MemberStandings
from mastery_engine.services.profiles import Profiles
from mastery_engine.services.students import StudentInCourse, Students

MOST_STUDENTS = 200
MOST_OWN = 1_000

WHAT_MOVES: Final[dict[Component, str]] = {
    "completion": "finish open exercises; harder ones weigh more",
    "quiz": "take quizzes; the weight of old results halves every 14 days, so new ones soon outweigh them",
    "quality": "hand in reviewed code; the weight of old reviews halves every 14 days",
    "consistency": "work on more days; each day counts 0.9 times as much as the day after it",
}


class ClassStandings(msgspec.Struct, frozen=True):
    """Where students stand, each in a course: those who need help, the worst first, and then the others.

    ``names`` are theirs, by id; ``unknown`` are those without any event; ``profiled`` those who allow profiling.
    """

    students: list[tuple[CourseSetup, Standing]]
    names: dict[str, str]
    unknown: list[str]
    profiled: list[tuple[Rules, Standing]]

    @property
    def average(self) -> float | None:
        """The mean score of those who allow profiling, as in a cohort's figures."""
        return mean_score([one for _, one in self.profiled])


class Reports:
    """Reads students, and records every read in the audit trail."""

    def __init__(
        self,
        students: Students,
        members: MemberStandings,
        cohorts: Cohorts,
        consents: Consents,
        profiles: Profiles,
        access: AccessControl,
        courses: Courses,
        clock: Clock,
    ) -> None:
        self._students = students
        self._members = members
        self._cohorts = cohorts
        self._consents = consents
        self._profiles = profiles
        self._access = access
        self._courses = courses
        self._clock = clock

    async def explain(
        self, caller: Caller, student_id: str, *, course_id: str | None = None, read: StudentInCourse | None = None
    ) -> Explanation:
        """Why a student's score is what it is. Raises NotFound, Forbidden and CourseRequired."""
        self._access.check_student(caller, Act.READ, student_id, "explain")
        now = caller.moment(self._clock)
        found = await self._students.known(caller, student_id, course_id, now, read)
        rules = found.rules
        score = mastery_score(found.student.evidence, now, rules)
        shown = shown_score(score.score, rules)
        above = next(iter(rules.levels[score.rank + 1 :]), None)
        return Explanation(
            student_id,
            shown,
            score.level,
            round(score.coverage, 4),
            None if above is None else above.name,
            None if above is None else at_least(above.from_score - shown),
            [
                Cost(
                    one.component,
                    round(one.value, 4),
                    one.weight,
                    round(one.cost, 4),
                    one.has_evidence,
                    None if one.needed is None else at_least(one.needed),
                    WHAT_MOVES[one.component],
                )
                for one in costs(score, rules)
            ],
        )

    async def own(self, caller: Caller, *, course_id: str | None = None) -> ClassGlance:
        """All students of a teacher at a glance, as ``own_standings`` has them."""
        return _glance_of(await self.own_standings(caller, course_id=course_id))

    async def own_standings(self, caller: Caller, *, course_id: str | None = None) -> ClassStandings:
        """Where all students of a teacher stand; of more than 1,000 only the first by id.

        Without ``course_id`` the members of the teacher's cohorts are shown in the courses of these, as in a cohort's
        own figures; whom the token alone names in the course of a question about them, else in all that they are in.
        """
        chosen = sorted(caller.students)[:MOST_OWN]
        self._check(caller, chosen)
        now = caller.moment(self._clock)
        if course_id is not None:
            return await self._standings(caller, chosen, {course_id: chosen}, now)
        members = await self._cohorts.members_by_course(caller, now)
        by_course = {one: [name for name in chosen if name in own] for one, own in members.items()}
        taught = frozenset().union(*members.values())
        others = [name for name in chosen if name not in taught]
        for name, asked in (await self._asked(caller.tenant, others, now)).items():
            for one in asked.courses if isinstance(asked, CourseRequired) else [asked]:
                by_course.setdefault(one, []).append(name)
        return await self._standings(caller, chosen, by_course, now)

    async def glance(self, caller: Caller, student_ids: Sequence[str], *, course_id: str | None = None) -> ClassGlance:
        """At most 200 students at a glance, each in the course that a question about them alone would be of.

        Raises InvalidInput, Forbidden if the caller may not read one, and CourseRequired.
        """
        chosen = list(dict.fromkeys(student_ids))
        if not 1 <= len(chosen) <= MOST_STUDENTS:
            raise InvalidInput(f"student_ids must have 1 to {MOST_STUDENTS} ids.", field="student_ids")
        self._check(caller, chosen)
        now = caller.moment(self._clock)
        if course_id is not None:
            return _glance_of(await self._standings(caller, chosen, {course_id: chosen}, now))
        by_course: dict[str, list[str]] = {}
        for name, asked in (await self._asked(caller.tenant, chosen, now)).items():
            if isinstance(asked, CourseRequired):
                raise asked
            by_course.setdefault(asked, []).append(name)
        return _glance_of(await self._standings(caller, chosen, by_course, now))

    async def _asked(self, tenant: str, chosen: Sequence[str], now: Micros) -> dict[str, str | CourseRequired]:
        """By student the course of a question that names none; ``default``, where most are known, is tried first."""
        default = await self._courses.of(CourseKey(tenant), now)
        asked: dict[str, str | CourseRequired] = {
            one.student_id: DEFAULT_COURSE for one in await self._members.of(default, chosen, now)
        }
        others = [name for name in chosen if name not in asked]
        found = await self._students.in_courses(tenant, [(name, None) for name in others], now) if others else []
        for name, place in zip(others, found, strict=True):
            asked[name] = place if isinstance(place, CourseRequired) else place.key.course_id
        return asked

    def _check(self, caller: Caller, chosen: Sequence[str]) -> None:
        for student_id in chosen:
            self._access.check_student(caller, Act.READ, student_id, "glance")

    async def _standings(
        self, caller: Caller, chosen: Sequence[str], by_course: Mapping[str, Sequence[str]], now: Micros
    ) -> ClassStandings:
        """The students ``chosen``, each in the courses that have them; one may stand in several."""
        setups = await self._courses.of_many([CourseKey(caller.tenant, one) for one in by_course], now)
        found = [
            (setup, one)
            for key, setup in setups.items()
            for one in await self._members.of(setup, by_course[key.course_id], now)
        ]
        known = {one.student_id for _, one in found}
        profiled = [
            (setup.rules, one)
            for setup, one in found
            if self._consents.state(StudentKey(caller.tenant, one.student_id)).profiling
        ]
        names = await self._profiles.names(caller.tenant, known)
        return ClassStandings(
            sorted(found, key=_those_who_need_help_first),
            names,
            [student_id for student_id in chosen if student_id not in known],
            profiled,
        )


def _those_who_need_help_first(found: tuple[CourseSetup, Standing]) -> tuple[tuple[float, float, str], str]:
    """One student's courses by their ids."""
    return those_who_need_help_first(found[1]), found[0].key.course_id


def _glance_of(found: ClassStandings) -> ClassGlance:
    return ClassGlance(
        [_at_a_glance(one, setup, found.names.get(one.student_id)) for setup, one in found.students],
        found.unknown,
        found.average,
        dict(Counter(rules.levels[one.rank].name for rules, one in found.profiled)),
    )


def _at_a_glance(one: Standing, setup: CourseSetup, name: str | None) -> Glance:
    rules = setup.rules
    return Glance(
        one.student_id,
        shown_score(one.score, rules),
        rules.levels[one.rank].name,
        one.trend,
        one.severity,
        reasons(one.signs),
        name,
        setup.key.course_id,
    )
