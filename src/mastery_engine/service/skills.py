"""What a student knows, skill by skill."""

from mastery_engine.access import Act, Caller
from mastery_engine.answers_skills import SkillState, StudentSkills
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.skills import estimate
from mastery_engine.service.mastery import Mastery


class Skills:
    """The estimates of knowledge tracing, as they are now."""

    def __init__(self, mastery: Mastery) -> None:
        self._mastery = mastery

    async def of(self, caller: Caller, student_id: str) -> StudentSkills:
        """Every skill that the student has answered on; none where there was no answer. Raises NotFound, Forbidden."""
        mastery = self._mastery
        mastery.check_student(caller, Act.READ, student_id, "skills")
        await mastery.check_profiling(caller.tenant, student_id)
        tracing = (await mastery.known(caller, student_id)).tracing
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
        return StudentSkills(student_id, sorted(found, key=lambda one: (-one.probability, one.skill)))
