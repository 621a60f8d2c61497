"""Advice, learning paths and patterns of one student."""

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.advice.guidance import advice_for, in_order
from mastery_engine.domain.advice.habits import work
from mastery_engine.domain.advice.learning_path import Goal, rhythm, timetable
from mastery_engine.domain.advice.learning_path import learning_path as steps_to
from mastery_engine.domain.advice.patterns import patterns
from mastery_engine.domain.advice.recommendation import (
    RANKS,
    Priority,
    Recommendation,
    recently_dismissed,
    recommendation_id,
)
from mastery_engine.domain.advice.struggle import open_spells
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.errors import InvalidInput
from mastery_engine.responses.advice import (
    LearningPath,
    NextStep,
    Recommended,
    StudentPatterns,
    learning_path,
    next_step,
    recommended,
    student_patterns,
)
from mastery_engine.services.current_advice import CurrentAdvice
from mastery_engine.services.profiling import Profiling
from mastery_engine.services.skills import Skills
from mastery_engine.services.students import StudentInCourse


class Advising:
    """Advises students. An unknown student is advised where to start."""

    def __init__(self, profiling: Profiling, skills: Skills, advice: CurrentAdvice, clock: Clock) -> None:
        self._profiling = profiling
        self._skills = skills
        self._advice = advice
        self._clock = clock

    async def recommendations(
        self,
        caller: Caller,
        student_id: str,
        *,
        course_id: str | None = None,
        limit: int = 5,
        priority: Priority = "low",
    ) -> list[Recommended]:
        """What to do next, best first, with at least this priority.

        First the advice that a query shows too, then further advice of this day.
        """
        found, wanted = await self._wanted(caller, student_id, course_id, priority)
        return recommended(wanted[:limit], found.key, found.curriculum)

    async def next_steps(
        self,
        caller: Caller,
        student_id: str,
        *,
        course_id: str | None = None,
        limit: int = 3,
        read: StudentInCourse | None = None,
    ) -> list[NextStep]:
        """The same advice in the same order, as pages say it."""
        found, wanted = await self._wanted(caller, student_id, course_id, "low", read)
        spells = open_spells(found.student.guidance.spells, found.rules.start_of(found.first_day))
        struggles = [topic for topic, _ in spells]
        return [next_step(piece, found.curriculum, struggles) for piece in wanted[:limit]]

    async def _wanted(
        self,
        caller: Caller,
        student_id: str,
        course_id: str | None,
        priority: Priority,
        read: StudentInCourse | None = None,
    ) -> tuple[StudentInCourse, list[Recommendation]]:
        now = caller.moment(self._clock)
        found = await self._profiling.known_or_nobody(caller, student_id, course_id, "recommendations", now, read)
        student, key, rules = found.student, found.key, found.rules
        score = mastery_score(student.evidence, now, rules)
        view = self._skills.outlook(found)
        fresh = advice_for(student.guidance, student.evidence, score, view, found.today, rules)
        held = self._advice.advice(found, score)
        dismissed = recently_dismissed(student.guidance.dismissed, now)
        wanted = [
            piece
            for piece in in_order(held, fresh)
            if RANKS[piece.priority] >= RANKS[priority] and recommendation_id(*key, piece) not in dismissed
        ]
        return found, wanted

    async def path(
        self,
        caller: Caller,
        student_id: str,
        goal: Goal = "improve_mastery",
        topic: str | None = None,
        *,
        course_id: str | None = None,
    ) -> LearningPath:
        """The path to a goal. Raises InvalidInput if ``master_topic`` has no topic, or the course lacks the topic."""
        now = caller.moment(self._clock)
        found = await self._profiling.known_or_nobody(caller, student_id, course_id, "learning-path", now)
        student, today = found.student, found.today
        if goal == "master_topic" and topic is None:
            raise InvalidInput("The goal master_topic needs a topic: a skill or module of the course.", field="topic")
        if topic is not None and not found.curriculum.skills_of(topic):
            raise InvalidInput(
                f"The course has no skill or module {topic!r}: `mastery-engine curriculum show` lists them.",
                field="topic",
            )
        steps = steps_to(self._skills.outlook(found), found.rules, goal, topic)
        minutes = work(student.guidance.habits, found.first_day).minutes_a_day
        days = timetable(steps, rhythm(student.evidence.activity, minutes, today), today)
        return learning_path(student_id, goal, topic, steps, days)

    async def patterns(self, caller: Caller, student_id: str, *, course_id: str | None = None) -> StudentPatterns:
        """The patterns of a student, and the open struggles. Raises NotFound."""
        now = caller.moment(self._clock)
        found = await self._profiling.known(caller, student_id, course_id, "patterns", now)
        student, rules = found.student, found.rules
        struggles = list(open_spells(student.guidance.spells, rules.start_of(found.first_day)))
        return student_patterns(student_id, patterns(student, found.today, rules), struggles)
