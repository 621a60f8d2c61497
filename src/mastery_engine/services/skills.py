"""The skills of a student: how well each is known, and the skill map."""

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.curriculum import Skill
from mastery_engine.domain.skills.estimates import Outlook, outlook_of
from mastery_engine.domain.skills.skill_map import State, skill_map
from mastery_engine.responses.skills import SkillState, StudentSkills, skill_state
from mastery_engine.services.models import Models
from mastery_engine.services.profiling import Profiling
from mastery_engine.services.students import StudentInCourse


class SkillPlace(msgspec.Struct, frozen=True):
    """A skill of the course on the map: where the student stands in it, and how well it is known."""

    skill: Skill
    state: State
    known: SkillState


class SkillMap(msgspec.Struct, frozen=True):
    """The student's place in each skill of the course; ``beside`` are skills with evidence that the course lacks."""

    places: list[SkillPlace]
    beside: list[SkillState]


class Skills:
    """Reads what students know, as estimated on the day of the call; advice goes by the same estimates."""

    def __init__(self, profiling: Profiling, models: Models, clock: Clock) -> None:
        self._profiling = profiling
        self._models = models
        self._clock = clock

    async def of(self, caller: Caller, student_id: str, *, course_id: str | None = None) -> StudentSkills:
        """Every skill that the student has evidence on. Raises NotFound, Forbidden and CourseRequired."""
        now = caller.moment(self._clock)
        found = await self._profiling.known(caller, student_id, course_id, "skills", now)
        return StudentSkills(student_id, _states(self.outlook(found)))

    async def map(
        self, caller: Caller, student_id: str, *, course_id: str | None = None, read: StudentInCourse | None = None
    ) -> SkillMap:
        """The student's place in each skill of the course. Raises NotFound, Forbidden and CourseRequired."""
        now = caller.moment(self._clock)
        found = await self._profiling.known(caller, student_id, course_id, "skills", now, read)
        view = self.outlook(found)
        places = [SkillPlace(one.skill, one.state, skill_state(one.skill.id, one.estimate)) for one in skill_map(view)]
        return SkillMap(places, [state for state in _states(view) if state.skill not in found.curriculum.skills])

    def outlook(self, of: StudentInCourse) -> Outlook:
        """What a student knows at a moment."""
        student = of.student
        return outlook_of(student.evidence, student.knowledge, of.curriculum, of.today, of.rules, self._models.skills)


def _states(view: Outlook) -> list[SkillState]:
    found = [skill_state(name, estimate) for name, estimate in view.estimates.items()]
    return sorted(found, key=lambda one: (-one.probability, one.skill))
