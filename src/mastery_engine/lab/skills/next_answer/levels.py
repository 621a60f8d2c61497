"""Levels that all students share, while they are being learned."""

from math import log1p

from mastery_engine.domain.moments import LATEST, Micros
from mastery_engine.domain.skills.next_answer.levels import PAUSE, UNKNOWN_ITEM, USUAL, USUAL_VARIANCE, ItemLevel, Known
from mastery_engine.domain.skills.next_answer.parameters import PRIOR, AnswerModel, SkillUsual
from mastery_engine.lab.skills.answer_files import AnswerGiven

FIRM = 0.002  # a usual level is never surer than this


class LearningLevels:
    """Each answer moves its item's difficulty and its skills' usual level by what was unexpected, as far as they are
    unsure: the same filter as for a student's levels.

    ``items`` and ``skills`` hold what was learned here; ``before`` is what was known before.
    """

    def __init__(self, before: AnswerModel = PRIOR, *, usual: float = USUAL, answers: int = 0) -> None:
        self.items: dict[str, ItemLevel] = {}
        self.skills: dict[str, SkillUsual] = {}
        self.usual = usual
        self.answers = answers
        self._before = before

    def item(self, item_id: str, at: Micros) -> ItemLevel | None:
        """The item as it is known now, whatever the moment."""
        del at
        return self.items.get(item_id) or self._before.item(item_id, LATEST)

    def skill(self, name: str, at: Micros) -> SkillUsual:
        """The usual level on a skill and its variance as they are known now, whatever the moment."""
        del at
        known = self.skills.get(name)
        if known is None and self._before.knows_skill(name, LATEST):
            return self._before.skill(name, LATEST)
        return known or (self.usual, USUAL_VARIANCE)

    def learn(self, known: Known, answer: AnswerGiven, last: AnswerGiven | None) -> None:
        """An answer, by what was known before it; ``last`` is the same student's answer before."""
        stands, item = known.standing, known.standing.item
        residual, weight = answer.right - stands.first, stands.first * (1.0 - stands.first)
        scale = 1.0 + weight * stands.variance
        self.items[answer.item_id] = ItemLevel(
            item.difficulty - item.variance * residual / scale,
            item.variance - item.variance**2 * weight / scale,
            item.pace,
            item.paces,
            item.loadings,
        )
        for name in answer.skills:
            level, variance = self.skill(name, known.now.at)
            part = variance / len(answer.skills)
            self.skills[name] = (level + part * residual / scale, max(FIRM, variance - part**2 * weight / scale))
        self.answers += 1
        self.usual += max(1.0 / (self.answers + 20), 0.0005) * 4 * residual
        if last is not None and known.now.gap < PAUSE:
            self._learn_pace(last.item_id, known.now.gap, known.now.at)

    def _learn_pace(self, item_id: str, gap: float, at: Micros) -> None:
        """How many seconds it was from an answer to an item until the next answer."""
        item = self.item(item_id, at) or UNKNOWN_ITEM
        paces = item.paces + 1.0
        pace = item.pace + (log1p(gap) - item.pace) / paces
        self.items[item_id] = ItemLevel(item.difficulty, item.variance, pace, paces, item.loadings)
