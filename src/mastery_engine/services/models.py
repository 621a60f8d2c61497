"""The models in use that may be replaced while the service runs."""

from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel


class Models:
    """``skills`` is the model of knowledge tracing that folds and queries use now."""

    def __init__(self, skills: SkillModel = DEFAULT_SKILLS) -> None:
        self._skills = skills

    @property
    def skills(self) -> SkillModel:
        return self._skills

    def take_up(self, skills: SkillModel) -> None:
        """Use another model of knowledge tracing from now on."""
        self._skills = skills
