"""What next, on which way, and what stands out: advice, learning paths and patterns of one student."""

from collections.abc import Sequence

from mastery_engine.auth.access import Act, Caller
from mastery_engine.domain.advice import learning_path as path
from mastery_engine.domain.advice.guidance import advice_for, outlook_of
from mastery_engine.domain.advice.habits import work
from mastery_engine.domain.advice.patterns import patterns
from mastery_engine.domain.advice.recommendation import RANKS, Priority, Recommendation, away, recommendation_id
from mastery_engine.domain.advice.struggle import open_spells
from mastery_engine.domain.evidence.score import mastery
from mastery_engine.domain.moments import Day, day_of
from mastery_engine.domain.skills.estimates import Outlook
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.errors import InvalidInput
from mastery_engine.responses.advice import (
    LearningPath,
    Recommended,
    StudentPatterns,
    learning_path,
    recommended,
    student_patterns,
)
from mastery_engine.services.mastery import Mastery


class Advising:
    """Advises students of an engine. One of whom nothing is known is told where to start."""

    def __init__(self, engine: Mastery) -> None:
        self._engine = engine

    async def recommendations(
        self, caller: Caller, student_id: str, *, limit: int = 5, priority: Priority = "low"
    ) -> list[Recommended]:
        """What to do next, best first, of at least this priority.

        It is the advice that the document holds while that is current, then what else can be advised on this day.
        """
        engine = self._engine
        student = await self._student(caller, student_id, "recommendations")
        now = engine.clock()
        score = mastery(student.evidence, now, engine.rules)
        today = day_of(now)
        view = self._outlook(student, today)
        fresh = advice_for(student.guidance, student.evidence, score, view, today, engine.rules)
        held: Sequence[Recommendation] = ()
        if not student.guidance.advice.is_due(score, today):
            held = student.guidance.advice.items
        shown = {(one.action, one.area): one for one in [*fresh, *held]}
        ranked = [shown[one] for one in dict.fromkeys((one.action, one.area) for one in [*held, *fresh])]
        gone = away(student.guidance.dismissed, now)
        wanted = [
            one
            for one in ranked
            if RANKS[one.priority] >= RANKS[priority] and recommendation_id(caller.tenant, student_id, one) not in gone
        ]
        return recommended(wanted[:limit], caller.tenant, student_id, engine.curriculum)

    async def path(
        self, caller: Caller, student_id: str, goal: path.Goal = "improve_mastery", topic: str | None = None
    ) -> LearningPath:
        """The way to a goal. Raises InvalidInput where ``master_topic`` has no topic, or the course lacks the topic."""
        engine = self._engine
        student = await self._student(caller, student_id, "learning-path")
        if goal == "master_topic" and topic is None:
            raise InvalidInput("master_topic needs a topic: a skill or a module of the curriculum.", field="topic")
        if topic is not None and not engine.curriculum.skills_of(topic):
            raise InvalidInput(
                f"The curriculum has no skill or module {topic!r}: `mastery-engine curriculum show` lists them.",
                field="topic",
            )
        today, floor = self._days()
        view = self._outlook(student, today)
        steps = path.learning_path(view, engine.rules, goal, topic)
        minutes = work(student.guidance.habits, floor).minutes_a_day
        days = path.timetable(steps, path.rhythm(student.evidence.activity, minutes, today), today)
        return learning_path(student_id, goal, topic, steps, days)

    async def patterns(self, caller: Caller, student_id: str) -> StudentPatterns:
        """What a tutor would notice, and the open struggles. Raises NotFound."""
        engine = self._engine
        engine.check_student(caller, Act.READ, student_id, "patterns")
        await engine.check_profiling(caller.tenant, student_id)
        student = await engine.known(caller, student_id)
        today, floor = self._days()
        struggles = list(open_spells(student.guidance.spells, floor))
        return student_patterns(student_id, patterns(student, today, engine.rules), struggles)

    def _outlook(self, student: Student, today: Day) -> Outlook:
        engine = self._engine
        return outlook_of(student.evidence, today, engine.curriculum, engine.rules, student.tracing, engine.skill_model)

    async def _student(self, caller: Caller, student_id: str, call: str) -> Student:
        """The document; that of nobody where nothing counts any more, or ever did."""
        engine = self._engine
        engine.check_student(caller, Act.READ, student_id, call)
        await engine.check_profiling(caller.tenant, student_id)
        (student,) = await engine.students(caller, [student_id])
        return student if student.is_known(engine.clock(), engine.rules) else NOBODY

    def _days(self) -> tuple[Day, Day]:
        """Today, and the first day that counts."""
        today = day_of(self._engine.clock())
        return today, today - self._engine.rules.retention_days + 1
