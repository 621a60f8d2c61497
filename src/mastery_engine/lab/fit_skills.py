"""The parameters of knowledge tracing from answers: how hard items are, and where students of a skill usually stand."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from mastery_engine.domain.kinds import Answer
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.skill_model import SkillModel
from mastery_engine.domain.skills import NOT_TRACED, Tracing, level_of, traced
from mastery_engine.lab.answer_files import Row

ITEM_VARIANCE, SKILL_VARIANCE, FIRM = 1.0, 0.5, 0.004
FITTED_VARIANCE = 0.1  # of an item in the file of parameters
MOVED = 0.02  # log-odds: less is no news
SECOND = 1_000_000

Answered: TypeAlias = tuple[Micros, Answer]


def chance_of(tracing: Tracing, item_id: str, skills: tuple[str, ...], at: Micros, model: SkillModel) -> float:
    """The probability of a right answer to an item: at the mean level of its skills."""
    level = sum(level_of(tracing, name, at, model) for name in skills) / len(skills)
    return model.chance(level - model.difficulty(item_id, None, at))


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


def learn_items(students: Sequence[Sequence[Answered]], model: SkillModel, since: Micros) -> dict[str, float]:
    """How hard items are by all answers at hand, of those items of which that is news for answers from ``since`` on.

    It begins at what the file of parameters says without its revisions, which are of some of the same answers, and
    where that says nothing of an item, at what its author says.
    """
    items: dict[str, float] = {}
    unsure: dict[str, float] = {}
    known: dict[str, float] = {}
    base = msgspec.structs.replace(model, revisions=())
    learning = msgspec.structs.replace(base, items=items)
    for answers in students:
        tracing = NOT_TRACED
        for at, answer in answers:
            name = answer.item_id
            if name not in items:
                items[name] = base.difficulty(name, answer.difficulty, at)
                unsure[name] = FITTED_VARIANCE if name in model.items else ITEM_VARIANCE
                known[name] = model.difficulty(name, answer.difficulty, since)
            level = sum(level_of(tracing, skill, at, learning) for skill in answer.skills) / len(answer.skills)
            residual = answer.correct - learning.chance(level - items[name])
            tracing = traced(tracing, answer, at, learning)
            unsure[name] = max(FIRM, unsure[name] / (1.0 + model.information * unsure[name]))
            items[name] -= unsure[name] * residual
    return {name: now for name, now in items.items() if abs(now - known[name]) > MOVED}
