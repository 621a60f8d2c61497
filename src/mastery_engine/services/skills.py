"""What a student knows, skill by skill."""

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.domain.advice.guidance import outlook_of
from mastery_engine.domain.moments import day_of, rfc3339
from mastery_engine.domain.skills.knowledge import Tracing, estimate
from mastery_engine.domain.skills.skill_map import Place, skill_map
from mastery_engine.domain.student import Student
from mastery_engine.responses.skills import SkillState, StudentSkills
from mastery_engine.services.mastery import Mastery


class SkillMap(msgspec.Struct, frozen=True):
    """The course as a student has it; ``beside`` are skills answered on that the course lacks."""

    places: list[Place]
    beside: list[SkillState]


class Skills:
    """The estimates of knowledge tracing, as they are now."""

    def __init__(self, mastery: Mastery) -> None:
        self._mastery = mastery

    async def of(self, caller: Caller, student_id: str) -> StudentSkills:
        """Every skill that the student has answered on; none where there was no answer. Raises NotFound, Forbidden."""
        return StudentSkills(student_id, self._states((await self._student(caller, student_id)).tracing))

    async def map(self, caller: Caller, student_id: str) -> SkillMap:
        """Where the student stands in the course. Raises NotFound, Forbidden."""
        mastery = self._mastery
        student = await self._student(caller, student_id)
        today, course = day_of(mastery.clock()), mastery.curriculum
        view = outlook_of(student.evidence, today, course, mastery.rules, student.tracing, mastery.skill_model)
        states = self._states(student.tracing)
        places = skill_map(view, {one.skill: one.probability for one in states})
        return SkillMap(places, [one for one in states if one.skill not in course.skills])

    async def _student(self, caller: Caller, student_id: str) -> Student:
        mastery = self._mastery
        mastery.check_student(caller, Act.READ, student_id, "skills")
        await mastery.check_profiling(caller.tenant, student_id)
        return await mastery.known(caller, student_id)

    def _states(self, tracing: Tracing) -> list[SkillState]:
        mastery = self._mastery
        now = mastery.clock()
        found = []
        for name, skill in tracing.skills.items():
            known = estimate(tracing, name, now, mastery.skill_model)
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
