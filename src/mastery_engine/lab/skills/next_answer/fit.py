"""Fits what students share: levels, then effects by what these leave unexplained, then the head."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec
import numpy as np

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE
from mastery_engine.domain.skills.knowledge import with_answer as traced
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills.next_answer.effects import (
    MOST_EFFECTS,
    MOST_INFORMATION,
    Doubles,
    Effects,
    Keys,
)
from mastery_engine.domain.skills.next_answer.levels import Known, SharedLevels, elapsed, skills_standing
from mastery_engine.domain.skills.next_answer.model import ItemAsked, after, known_before, seen, with_effects
from mastery_engine.domain.skills.next_answer.parameters import AnswerModel, AnswerParameters, LevelRevision
from mastery_engine.domain.skills.next_answer.recall import Memory, state_of
from mastery_engine.domain.skills.next_answer.state import since
from mastery_engine.lab.skills.answer_files import AnswerGiven
from mastery_engine.lab.skills.next_answer.head import Fold, fitted_head
from mastery_engine.lab.skills.next_answer.levels import LearningLevels
from mastery_engine.lab.skills.next_answer.traits import loadings_of

ROTATIONS = 4

Histories: TypeAlias = Sequence[Sequence[AnswerGiven]]


class Unexplained(msgspec.Struct):
    """What levels leave unexplained of answers, with its information, and the keys of the effects it belongs to."""

    keys: Keys
    residuals: Doubles
    information: Doubles


def fit(
    students: Histories, *, skills: SkillModel = DEFAULT_SKILLS, seed: int = 0, version: str = "fitted"
) -> AnswerParameters:
    """Learn from students, each with answers in order; ``skills`` is the model that traces their knowledge.

    The head is trained on what was known before each answer, never with what that answer taught: of each student by
    parameters that the other parts of the students taught.
    """
    students = [history for history in students if history]
    if not students:
        return AnswerParameters(version=version)
    folds: list[Fold] = []
    rotations = min(ROTATIONS, len(students))
    for turn in range(rotations):
        first, last = turn * len(students) // rotations, (turn + 1) * len(students) // rotations
        model = AnswerModel(taught((*students[:first], *students[last:]), skills, version))
        held = students[first:last]
        rows = [
            with_effects(*seen([known for _, known in followed(model, history, skills)]), model) for history in held
        ]
        right = np.array([answer.right for history in held for answer in history], np.float32)
        folds.append(Fold(np.concatenate(rows), right, len(held)))
    return msgspec.structs.replace(taught(students, skills, version), head=fitted_head(folds, seed=seed))


def taught(students: Histories, skills: SkillModel, version: str) -> AnswerParameters:
    """All parameters but the head: the levels in one pass, then in another what these leave unexplained."""
    if not students:
        return AnswerParameters(version=version)
    levels = LearningLevels()
    for history in students:
        last: AnswerGiven | None = None
        for answer, known in followed(levels, history, skills):
            levels.learn(known, answer, last)
            last = answer
    unexplained = [unexplained_of(levels, history, skills) for history in students]
    named = [
        list(zip([answer.item_id for answer in history], own.residuals.tolist(), own.information.tolist(), strict=True))
        for history, own in zip(students, unexplained, strict=True)
    ]
    items = {
        item_id: msgspec.structs.replace(levels.items[item_id], loadings=loadings)
        for item_id, loadings in loadings_of(named).items()
    }
    revision = LevelRevision(answers=levels.answers, usual=levels.usual, items=items, skills=levels.skills)
    return AnswerParameters(version=version, revisions=(revision,), effects=table_of(*keys_and_sums(unexplained)))


def followed(
    shared: SharedLevels, history: Sequence[AnswerGiven], skills: SkillModel = DEFAULT_SKILLS
) -> Iterator[tuple[AnswerGiven, Known]]:
    """Each answer of a student with what is known before it, as the service knows it: what is older than the retention
    is forgotten first. ``skills`` is the model that traces knowledge."""
    source, knowledge, floor = b"", NO_KNOWLEDGE, 0
    retention = Rules().retention_days
    for answer in history:
        rising = answer.at // DAY - retention + 1
        if rising > floor:
            source, knowledge, floor = since(source, rising * DAY), knowledge.since(rising * DAY), rising
        memory = Memory(knowledge, skills)
        state = state_of(source, memory)
        asked = ItemAsked(answer.item_id, answer.skills, answer.said)
        now = elapsed(state, answer.at)
        known = known_before(state, now, asked, skills_standing(state, now, asked.skills, shared, memory), shared)
        yield answer, known
        source = after(known, answer.right)
        told = Answer(answer.item_id, answer.skills, score=answer.right, difficulty=answer.said)
        knowledge = traced(knowledge, told, answer.at, skills)


def unexplained_of(shared: SharedLevels, history: Sequence[AnswerGiven], skills: SkillModel) -> Unexplained:
    """What levels leave unexplained of a student's answers."""
    before = [known for _, known in followed(shared, history, skills)]
    first = np.array([known.standing.first for known in before])
    right = np.array([answer.right for answer in history])
    return Unexplained(seen(before)[1], right - first, first * (1.0 - first))


def keys_and_sums(unexplained: Sequence[Unexplained]) -> tuple[Keys, Doubles, Doubles]:
    """The keys of all effects of answers, with a residual and its information for each."""
    keys = np.concatenate([one.keys for one in unexplained])
    residuals = np.concatenate([one.residuals for one in unexplained])
    information = np.concatenate([one.information for one in unexplained])
    row, _ = np.nonzero(keys)
    return keys[keys != 0], residuals[row], information[row]


def table_of(keys: Keys, residuals: Doubles, information: Doubles) -> Effects:
    """The sums of each key, in the order of the keys; where there are too many, those with the most evidence."""
    if not len(keys):
        return Effects()
    order = np.argsort(keys, kind="stable")
    keys, residuals, information = keys[order], residuals[order], information[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    keys, residuals, information = (
        keys[starts],
        np.add.reduceat(residuals, starts),
        np.add.reduceat(information, starts),
    )
    if len(keys) > MOST_EFFECTS:
        chosen = np.sort(np.argpartition(information, -MOST_EFFECTS)[-MOST_EFFECTS:])
        keys, residuals, information = keys[chosen], residuals[chosen], information[chosen]
    left = MOST_INFORMATION / np.maximum(information, MOST_INFORMATION)
    return Effects(
        keys.astype("<u4").tobytes(),
        (residuals * left).astype("<f2").tobytes(),
        (information * left).astype("<f2").tobytes(),
    )
