"""The parameters of knowledge tracing from answers: how hard items are, and where students of a skill usually stand."""

from collections.abc import Sequence

import msgspec

from mastery_engine.domain.kinds import Answer
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.skill_model import SkillModel
from mastery_engine.domain.skills import NOT_TRACED, Tracing, level_of, traced
from mastery_engine.lab.answer_files import Row

ITEM_VARIANCE, SKILL_VARIANCE, FIRM = 1.0, 0.5, 0.004
SECOND = 1_000_000


def chance_of(tracing: Tracing, item_id: str, skills: tuple[str, ...], at: Micros, model: SkillModel) -> float:
    """The probability of a right answer to an item: at the mean level of its skills."""
    level = sum(level_of(tracing, name, at, model) for name in skills) / len(skills)
    return model.chance(level - model.difficulty(item_id, None))


def fit_skills(students: Sequence[Sequence[Row]], prior: SkillModel | None = None) -> SkillModel:
    """One pass over the students: each answer moves its item's difficulty and its skills' usual level by what was
    unexpected, as far as they are unsure (the same filter as for a student's levels)."""
    items: dict[str, float] = {}
    skills: dict[str, float] = {}
    unsure: dict[tuple[str, str], float] = {}
    model = msgspec.structs.replace(prior or SkillModel(), version="fitted", items=items, skills=skills)

    def gain(kind: str, name: str, most: float) -> float:
        variance = unsure.get((kind, name), most)
        moved = variance / (1.0 + model.information * variance)
        unsure[kind, name] = max(FIRM, moved)
        return moved

    for rows in students:
        tracing = NOT_TRACED
        for row in rows:
            at = round(row.at * SECOND)
            residual = row.right - chance_of(tracing, row.item_id, row.skills, at, model)
            tracing = traced(tracing, Answer(row.item_id, row.skills, bool(row.right)), at, model)
            items[row.item_id] = items.get(row.item_id, 0.0) - gain("item", row.item_id, ITEM_VARIANCE) * residual
            for name in row.skills:
                moved = gain("skill", name, SKILL_VARIANCE) * residual / len(row.skills)
                skills[name] = model.offset(name) + moved
    return model
