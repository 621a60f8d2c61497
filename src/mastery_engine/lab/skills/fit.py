"""The parameters of knowledge tracing from answers: how hard items are, and where students of a skill usually stand."""

from collections.abc import Sequence
from math import log

import msgspec

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import NEVER, SECOND, Micros
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, KnowledgeState, level_of, with_answer
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, Revision, SkillModel
from mastery_engine.domain.student import DocumentKey
from mastery_engine.lab.skills.answer_files import AnswerRow
from mastery_engine.worker.logged_answers import LoggedAnswer

PRIOR_ANSWERS = 20.0
ITEM_VARIANCE, SKILL_VARIANCE, FIRM = 1.0, 0.5, 0.004
FITTED_VARIANCE = 0.1  # of an item that was fitted on a file


def chance_of(knowledge: KnowledgeState, item_id: str, skills: tuple[str, ...], at: Micros, model: SkillModel) -> float:
    """The probability of a right answer to an item: at the mean level of its skills; without any, at that of one that
    the student never practised."""
    level = sum(level_of(knowledge, name, at, model) for name in skills or ("",)) / (len(skills) or 1)
    return model.chance(level - model.difficulty(item_id, None, at))


def fit_skills(students: Sequence[Sequence[AnswerRow]]) -> SkillModel:
    """One pass over the students: each answer moves its item's difficulty and its skills' usual level by what was
    unexpected, as far as they are unsure (the same filter as for a student's levels)."""
    items: dict[str, float] = {}
    skills: dict[str, float] = {}
    unsure: dict[tuple[str, str], float] = {}
    usual = usual_level(students, DEFAULT_SKILLS)
    model = msgspec.structs.replace(DEFAULT_SKILLS, version="fitted", usual=usual, items=items, skills=skills)

    def gain(kind: str, name: str, most: float) -> float:
        variance = unsure.get((kind, name), most)
        moved = variance / (1.0 + model.information * variance)
        unsure[kind, name] = max(FIRM, moved)
        return moved

    for rows in students:
        knowledge = NO_KNOWLEDGE
        for row in rows:
            at = round(row.at * SECOND)
            residual = row.right - chance_of(knowledge, row.item_id, row.skills, at, model)
            knowledge = with_answer(knowledge, Answer(row.item_id, row.skills, bool(row.right)), at, model)
            items[row.item_id] = items.get(row.item_id, 0.0) - gain("item", row.item_id, ITEM_VARIANCE) * residual
            for name in row.skills:
                moved = gain("skill", name, SKILL_VARIANCE) * residual / len(row.skills)
                skills[name] = model.offset(name) + moved
    return model


def usual_level(students: Sequence[Sequence[AnswerRow]], prior: SkillModel) -> float:
    """Where students stand on a skill before they practise it, in log-odds: by their first answers on each.

    The prior's level weighs ``PRIOR_ANSWERS``, so it stays finite, and a few answers do not decide.
    """
    right, answers = PRIOR_ANSWERS * prior.chance(prior.usual), PRIOR_ANSWERS
    for rows in students:
        tried: set[str] = set()
        for row in rows:
            if tried.isdisjoint(row.skills):
                right, answers = right + row.right, answers + 1.0
            tried.update(row.skills)
    return log(right / (answers - right))


def learn_items(answers: Sequence[LoggedAnswer], model: SkillModel, since: Micros) -> Revision:
    """How hard items are by the answers at hand that no revision has heard of yet, as a revision from ``since`` on.

    In the order of time, whoever's they are; a student's first answer to an item alone counts. It goes on from the last
    revision, else from the file of parameters, else from what an item's author says. A variance never falls below
    ``FIRM``, so that some thousand answers outweigh older ones: items change.
    """
    last = model.revisions[-1].heard if model.revisions else NEVER
    known = {name: learned for revision in model.revisions for name, learned in revision.items.items()}
    items = model.items | {name: difficulty for name, (difficulty, _) in known.items()}
    unsure = dict.fromkeys(model.items, FITTED_VARIANCE) | {name: variance for name, (_, variance) in known.items()}
    learning = msgspec.structs.replace(model, items=items, revisions=())
    levels: dict[DocumentKey, KnowledgeState] = {}
    met: set[tuple[DocumentKey, str]] = set()
    taught: dict[str, None] = {}
    newest = last
    for key, received, at, answer in sorted(answers, key=_by_time):
        name, knowledge = answer.item_id, levels.get(key, NO_KNOWLEDGE)
        if received > last and (key, name) not in met:
            items.setdefault(name, learning.difficulty(name, answer.difficulty, at))
            residual = answer.fraction - chance_of(knowledge, name, answer.skills, at, learning)
            variance = unsure.get(name, ITEM_VARIANCE)
            unsure[name] = max(FIRM, variance / (1.0 + model.information * variance))
            items[name] -= unsure[name] * residual
            taught[name] = None
            newest = max(newest, received)
        met.add((key, name))
        levels[key] = with_answer(knowledge, answer, at, learning)
    return Revision(since, newest, {name: (items[name], unsure[name]) for name in taught})


def _by_time(logged: LoggedAnswer) -> tuple[Micros, DocumentKey, str]:
    return logged.at, logged.key, logged.answer.item_id
