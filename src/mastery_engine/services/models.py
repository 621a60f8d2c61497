"""The models in use that may be replaced while the service runs."""

from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills.next_answer.parameters import NO_ANSWER_MODELS, AnswerModels


class Models:
    """The models that folds and queries use now: ``skills`` traces knowledge, ``answers`` predict the next answer."""

    def __init__(self, skills: SkillModel = DEFAULT_SKILLS, answers: AnswerModels = NO_ANSWER_MODELS) -> None:
        self._skills = skills
        self._answers = answers

    @property
    def skills(self) -> SkillModel:
        return self._skills

    @property
    def answers(self) -> AnswerModels:
        return self._answers

    def take_up(self, skills: SkillModel, answers: AnswerModels) -> None:
        """Use other models from now on."""
        self._skills, self._answers = skills, answers
