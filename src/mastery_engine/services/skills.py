"""The skills of a student: the estimates of knowledge tracing, and the skill map."""

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.advice.guidance import outlook_of
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.moments import Micros, day_of, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import KnowledgeState, estimate
from mastery_engine.domain.skills.skill_map import SkillStatus, skill_map
from mastery_engine.responses.skills import SkillState, StudentSkills
from mastery_engine.services.models import Models
from mastery_engine.services.profiling import Profiling


class SkillMap(msgspec.Struct, frozen=True):
    """The student's state in each skill of the course; ``beside`` are skills with answers that the course lacks."""

    places: list[SkillStatus]
    beside: list[SkillState]


class Skills:
    """Reads what students know, as estimated now."""

    def __init__(
        self, profiling: Profiling, models: Models, rules: Rules, curriculum: Curriculum, clock: Clock
    ) -> None:
        self._profiling = profiling
        self._models = models
        self._rules = rules
        self._curriculum = curriculum
        self._clock = clock

    async def of(self, caller: Caller, student_id: str) -> StudentSkills:
        """Every skill that the student has answers on. Raises NotFound and Forbidden."""
        now = caller.moment(self._clock)
        student = await self._profiling.student(caller, student_id, "skills", now)
        return StudentSkills(student_id, self._states(student.knowledge, now))

    async def map(self, caller: Caller, student_id: str) -> SkillMap:
        """The student's state in each skill of the course. Raises NotFound and Forbidden."""
        now, course = caller.moment(self._clock), self._curriculum
        student = await self._profiling.student(caller, student_id, "skills", now)
        view = outlook_of(student.evidence, day_of(now), course, self._rules, student.knowledge, self._models.skills)
        states = self._states(student.knowledge, now)
        places = skill_map(view, {state.skill: state.probability for state in states})
        return SkillMap(places, [state for state in states if state.skill not in course.skills])

    def _states(self, knowledge: KnowledgeState, now: Micros) -> list[SkillState]:
        found = []
        for name, skill in knowledge.skills.items():
            known = estimate(knowledge, name, now, self._models.skills)
            found.append(
                SkillState(
                    name,
                    round(known.probability, 4),
                    round(known.uncertainty, 4),
                    round(known.forgotten, 4),
                    rfc3339(skill.at),
                    skill.answers,
                )
            )
        return sorted(found, key=lambda one: (-one.probability, one.skill))
