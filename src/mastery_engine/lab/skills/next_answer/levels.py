"""Levels that all students share, while they are being learned."""

from math import log1p

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.skills.next_answer.levels import PAUSE, UNKNOWN_ITEM, USUAL, USUAL_VARIANCE, ItemLevel
from mastery_engine.domain.skills.next_answer.model import Known
from mastery_engine.domain.skills.next_answer.parameters import SkillUsual

FIRM = 0.002  # a usual level is never surer than this


class LearningLevels:
    """Each answer moves its item's difficulty and its skills' usual level by what was unexpected, as far as they are
    unsure: the same filter as for a student's levels."""

    def __init__(self) -> None:
        self.items: dict[str, ItemLevel] = {}
        self.skills: dict[str, SkillUsual] = {}
        self.usual = USUAL
        self.answers = 0

    def item(self, item_id: str, at: Micros) -> ItemLevel | None:
        del at
        return self.items.get(item_id)

    def skill(self, name: str, at: Micros) -> SkillUsual:
        del at
        return self.skills.get(name) or (self.usual, USUAL_VARIANCE)

    def learn(self, known: Known, item_id: str, skills: tuple[str, ...], right: float) -> None:
        """An answer, by what was known before it."""
        stands, item = known.standing, known.standing.item
        residual, weight = right - stands.first, stands.first * (1.0 - stands.first)
        scale = 1.0 + weight * stands.variance
        self.items[item_id] = ItemLevel(
            item.difficulty - item.variance * residual / scale,
            item.variance - item.variance**2 * weight / scale,
            item.pace,
            item.paces,
            item.loadings,
        )
        for name in skills:
            level, variance = self.skill(name, known.now.at)
            part = variance / len(skills)
            self.skills[name] = (level + part * residual / scale, max(FIRM, variance - part**2 * weight / scale))
        self.answers += 1
        self.usual += max(1.0 / (self.answers + 20), 0.0005) * 4 * residual

    def learn_pace(self, item_id: str, gap: float) -> None:
        """How many seconds it was from an answer to an item until the next answer."""
        if gap < PAUSE:
            item = self.items.get(item_id, UNKNOWN_ITEM)
            paces = item.paces + 1.0
            pace = item.pace + (log1p(gap) - item.pace) / paces
            self.items[item_id] = ItemLevel(item.difficulty, item.variance, pace, paces, item.loadings)
