"""The content of a student's dashboard page, gathered from the other services."""

import msgspec

from mastery_engine.auth.access import TABLE, Act, Caller, Reach
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.curriculum import Module
from mastery_engine.domain.courses.zone import Zone
from mastery_engine.domain.moments import Day, DaySpan, Micros, date_of
from mastery_engine.domain.rules import Level
from mastery_engine.domain.student import DocumentKey
from mastery_engine.out.badges.badge import Badge
from mastery_engine.responses.advice import NextStep
from mastery_engine.responses.changes import Changes
from mastery_engine.responses.forecasts import Prediction
from mastery_engine.responses.history import MasteryHistory
from mastery_engine.responses.reports import Explanation
from mastery_engine.responses.scores import StudentMastery
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.advice import Advising
from mastery_engine.services.badges import Badges
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.forecasts import Forecasts
from mastery_engine.services.next_answers import NextAnswers
from mastery_engine.services.profiles import Profiles
from mastery_engine.services.reports import Reports
from mastery_engine.services.scores import Scores
from mastery_engine.services.skills import SkillMap, Skills
from mastery_engine.services.students import StudentInCourse, Students

SHOWN_DAYS = 28
ADVICE_SHOWN = 3


class PageOutline(msgspec.Struct, frozen=True):
    """The student of a page, the moment of the last change, and the day; ``profiled`` is whether they allow profiling.

    ``cohorts`` are the student's classes in the course whose figures the caller may see; ``courses`` are all of the
    student's, if there are several. ``name`` and ``language`` are None where they have none; ``course_language`` is
    that of the course, ``zone`` its time zone, and ``first_day`` the first whose evidence counts. ``read`` is the
    student as read for this page, once: all of it goes by the same document.
    """

    student: DocumentKey
    updated: Micros
    day: Day
    profiled: bool
    cohorts: list[str]
    courses: list[str]
    name: str | None
    language: str | None
    course_language: str | None
    zone: Zone
    first_day: Day
    read: StudentInCourse


class PageBody(msgspec.Struct, frozen=True):
    """The content; parts that need profiling are None without it.

    ``active_days`` are the last 28, oldest first; ``streak`` counts the days in a row that end today or yesterday.
    ``modules`` are the course's, for the map; ``badges`` are the student's in all courses.
    """

    now: StudentMastery
    why: Explanation
    history: MasteryHistory
    changes: Changes
    active_days: list[bool]
    streak: int
    levels: tuple[Level, ...]
    forecast: Prediction | None
    steps: list[NextStep]
    modules: tuple[Module, ...]
    skills: SkillMap | None
    badges: list[Badge]


def streak(active: int) -> int:
    """The days in a row that end today, or yesterday where today has none yet; bit k stands for the day k days ago."""
    days = active if active & 1 else active >> 1
    return (~days & days + 1).bit_length() - 1


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
        next_answers: NextAnswers,
        badges: Badges,
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
        self._next_answers = next_answers
        self._badges = badges
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
        (stored,) = await self._profiles.load([person])
        return PageOutline(
            found.key,
            found.student.updated,
            found.today,
            profiled,
            cohorts,
            others,
            stored.profile.display_name,
            stored.profile.language,
            found.setup.course.language,
            found.rules.zone,
            found.first_day,
            found,
        )

    async def body(self, caller: Caller, outline: PageOutline, span: DaySpan | None = None) -> PageBody:
        """The content of the page, with the change between these days, else of the last week.

        Raises NotFound and Forbidden.
        """
        _, student_id, course_id = outline.student
        found = outline.read
        active = found.student.evidence.activity.up_to(found.today)
        return PageBody(
            now=await self._scores.query(caller, student_id, course_id=course_id, read=found),
            why=await self._reports.explain(caller, student_id, course_id=course_id, read=found),
            history=await self._scores.history(caller, student_id, course_id=course_id, read=found),
            changes=await self._scores.changes(
                caller,
                student_id,
                None if span is None else date_of(span.first),
                None if span is None else date_of(span.last),
                course_id=course_id,
                read=found,
            ),
            active_days=[bool(active >> back & 1) for back in range(SHOWN_DAYS - 1, -1, -1)],
            streak=streak(active),
            levels=found.rules.levels,
            forecast=(
                await self._forecasts.next_days(caller, student_id, course_id=course_id, read=found)
                if outline.profiled
                else None
            ),
            steps=await self._steps(caller, found) if outline.profiled else [],
            modules=found.curriculum.modules,
            skills=(
                await self._skills.map(caller, student_id, course_id=course_id, read=found)
                if outline.profiled
                else None
            ),
            badges=await self._badges.shown(caller, student_id),
        )

    async def first_steps(self, caller: Caller, student_id: str, course_id: str | None) -> list[NextStep]:
        """Where a student begins of whom nothing is known yet. Raises Forbidden, and Conflict without profiling."""
        return await self._advice.next_steps(caller, student_id, course_id=course_id, limit=ADVICE_SHOWN)

    async def _steps(self, caller: Caller, found: StudentInCourse) -> list[NextStep]:
        """What to do next; where the course has items, a skill's step leads to the one to answer next."""
        student_id, course_id = found.key.student_id, found.key.course_id
        steps = await self._advice.next_steps(caller, student_id, course_id=course_id, limit=ADVICE_SHOWN, read=found)
        if not found.setup.items:
            return steps
        led = []
        for step in steps:
            best = []
            if step.is_skill:
                best = await self._next_answers.items(
                    caller, student_id, course_id=course_id, skill=step.area, limit=5, read=found
                )
            item = next((one for one in best if one.url), None)
            if item is not None:
                step = msgspec.structs.replace(step, link=item.url, link_title=item.title)
            led.append(step)
        return led

    async def _comparable(self, caller: Caller, student: DocumentKey, now: Micros) -> list[str]:
        reach = TABLE[Act.COHORT][caller.role]
        if reach is Reach.NOBODY:
            return []
        named = await self._cohorts.of(student.student)
        return await self._cohorts.in_course(
            student.course, named if reach is Reach.TENANT else named & caller.cohorts, now
        )
