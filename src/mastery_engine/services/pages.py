"""The content of a student's dashboard page, gathered from the other services."""

import msgspec

from mastery_engine.auth.access import TABLE, Act, Caller, Reach
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import Level
from mastery_engine.domain.student import DocumentKey
from mastery_engine.responses.advice import Recommended
from mastery_engine.responses.changes import Changes
from mastery_engine.responses.forecasts import Prediction
from mastery_engine.responses.history import MasteryHistory
from mastery_engine.responses.reports import Explanation
from mastery_engine.responses.scores import StudentMastery
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.advice import Advising
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.forecasts import Forecasts
from mastery_engine.services.profiles import Profiles
from mastery_engine.services.reports import Reports
from mastery_engine.services.scores import Scores
from mastery_engine.services.skills import SkillMap, Skills
from mastery_engine.services.students import Students

SHOWN_DAYS = 28
ADVICE_SHOWN = 3


class PageOutline(msgspec.Struct, frozen=True):
    """The student of a page, the moment of the last change, and the day; ``profiled`` is whether they allow profiling.

    ``cohorts`` are the student's classes in the course whose figures the caller may see; ``courses`` are all of the
    student's, if there are several. ``name`` is None where they have none.
    """

    student: DocumentKey
    updated: Micros
    day: Day
    profiled: bool
    cohorts: list[str]
    courses: list[str]
    name: str | None


class PageBody(msgspec.Struct, frozen=True):
    """The content. ``active_days`` are the last 28, oldest first; parts that need profiling are None without it."""

    now: StudentMastery
    why: Explanation
    history: MasteryHistory
    changes: Changes
    active_days: list[bool]
    levels: tuple[Level, ...]
    forecast: Prediction | None
    advice: list[Recommended]
    skills: SkillMap | None


class Pages:
    """Gathers a student's page from the services."""

    def __init__(
        self,
        students: Students,
        scores: Scores,
        forecasts: Forecasts,
        advice: Advising,
        skills: Skills,
        reports: Reports,
        cohorts: Cohorts,
        consents: Consents,
        profiles: Profiles,
        access: AccessControl,
        clock: Clock,
    ) -> None:
        self._students = students
        self._scores = scores
        self._forecasts = forecasts
        self._advice = advice
        self._skills = skills
        self._reports = reports
        self._cohorts = cohorts
        self._consents = consents
        self._profiles = profiles
        self._access = access
        self._clock = clock

    async def outline(self, caller: Caller, student_id: str, *, course_id: str | None = None) -> PageOutline:
        """The outline of a student's page in a course. Raises NotFound, Forbidden and CourseRequired."""
        self._access.check_student(caller, Act.READ, student_id, "student-page")
        now = caller.moment(self._clock)
        found = await self._students.known(caller, student_id, course_id, now)
        person = found.key.student
        profiled = await self._consents.allows_profile(person, now)
        cohorts = await self._comparable(caller, found.key, now) if profiled else []
        others = sorted(found.courses) if len(found.courses) > 1 else []
        name = (await self._profiles.names(caller.tenant, [student_id])).get(student_id)
        return PageOutline(found.key, found.student.updated, found.today, profiled, cohorts, others, name)

    async def body(self, caller: Caller, outline: PageOutline) -> PageBody:
        """The content of the page. Raises NotFound and Forbidden."""
        _, student_id, course_id = outline.student
        now = caller.moment(self._clock)
        found = await self._students.known(caller, student_id, course_id, now)
        active = found.student.evidence.activity.up_to(found.today)
        return PageBody(
            now=await self._scores.query(caller, student_id, course_id=course_id),
            why=await self._reports.explain(caller, student_id, course_id=course_id),
            history=await self._scores.history(caller, student_id, course_id=course_id),
            changes=await self._scores.changes(caller, student_id, course_id=course_id),
            active_days=[bool(active >> back & 1) for back in range(SHOWN_DAYS - 1, -1, -1)],
            levels=found.rules.levels,
            forecast=(
                await self._forecasts.next_days(caller, student_id, course_id=course_id) if outline.profiled else None
            ),
            advice=(
                await self._advice.recommendations(caller, student_id, course_id=course_id, limit=ADVICE_SHOWN)
                if outline.profiled
                else []
            ),
            skills=await self._skills.map(caller, student_id, course_id=course_id) if outline.profiled else None,
        )

    async def _comparable(self, caller: Caller, student: DocumentKey, now: Micros) -> list[str]:
        reach = TABLE[Act.COHORT][caller.role]
        if reach is Reach.NOBODY:
            return []
        named = await self._cohorts.of(student.student)
        return await self._cohorts.in_course(
            student.course, named if reach is Reach.TENANT else named & caller.cohorts, now
        )
