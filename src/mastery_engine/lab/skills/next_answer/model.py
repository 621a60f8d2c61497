"""Predict, learn, fit."""

from collections.abc import Iterator, Sequence
from math import exp, log1p
from typing import TypeAlias

import numpy as np

from mastery_engine.lab.skills.next_answer.answer_features import PAUSE, AnswerFeatures, see
from mastery_engine.lab.skills.next_answer.head import Floats, logged, train
from mastery_engine.lab.skills.next_answer.shared import (
    FIRM,
    NO_COMBINATION,
    NO_ITEM,
    NONE,
    Combination,
    Item,
    Shared,
    answered,
    learned,
)
from mastery_engine.lab.skills.next_answer.student import (
    GENERAL_NOISE,
    GENERAL_VARIANCE,
    MEMORY,
    NOTHING,
    SKILL_NOISE,
    SKILL_VARIANCE,
    Remembered,
    Skills,
    StudentState,
    faded_counts,
    skill_counts,
)
from mastery_engine.lab.skills.next_answer.traits import Residual, loadings_of, moved

ROTATIONS = 4


def _results(before: int, right: int, most: int) -> int:
    """The last results, ``most`` of them, as bits under a leading 1."""
    full, more = 1 << most, before << 1 | right
    return more if more < 2 * full else more % full + full


# By the last answer, and the results before it.
_AFTER_FOUR = tuple(tuple(_results(before, right, 4) for before in range(32)) for right in (0, 1))
_AFTER_FIVE = tuple(tuple(_results(before, right, 5) for before in range(64)) for right in (0, 1))

AnswerGiven: TypeAlias = tuple[str, Skills, int, float]  # item, skills, right, seconds


def predict(
    shared: Shared, student: StudentState, item_id: str, skills: Skills, at: float
) -> tuple[float, AnswerFeatures]:
    """The probability of a right answer, and what it rests on."""
    features = see(shared, student, item_id, skills, at)
    if shared.head is None:
        return features.first, features
    logit = shared.head.logit(features.inputs)
    return 1.0 / (1.0 + exp(-max(-30.0, logit))), features


def show(student: StudentState, item_id: str, skills: Skills, right: int, at: float, features: AnswerFeatures) -> None:
    """The answer, to the student's own state; ``features`` is what was seen before it."""
    first, general, answers = features.first, features.general, student.answers
    residual, weight = right - first, first * (1.0 - first)
    scale = 1.0 + weight * features.variance
    surprise, information, part = residual / scale, weight / scale, 1.0 / len(skills)
    student.mean += general * surprise
    student.variance = _surer(general, information, GENERAL_NOISE, GENERAL_VARIANCE)
    for name, skill, spread in features.practised:
        skill.mean += spread * part * surprise
        skill.variance = _surer(spread, part * part * information, SKILL_NOISE, SKILL_VARIANCE)
        skill.counts = skill_counts(skill.counts, right, residual)
        skill.place, skill.at = answers, at
        skill.last_four = _AFTER_FOUR[right][skill.last_four]
        student.skills[name] = skill
    if features.shift_variance > 0.0:
        unexplained = residual - weight * features.shift
        student.traits, student.trait_variances = moved(
            student.traits,
            student.trait_variances,
            features.item.loadings,
            unexplained,
            weight,
            features.shift_variance,
        )
    student.faded = faded_counts(student.faded, right, residual)
    student.timed, student.quick = features.timed, features.quick
    student.last_five = _AFTER_FIVE[right][student.last_five]
    student.right += right
    student.run = student.run + 1 if features.same_item else 0
    _remember(student, item_id, right)
    if student.before != NOTHING:
        student.recent.append(student.before)
    item = features.item
    student.pace, student.pace_before, student.usual_pace = features.paces, features.pace, item.pace
    student.item_before, student.skills_before, student.right_before = item_id, skills, right
    student.before_that, student.before = student.before, item.answered[right]
    student.combined_before = features.combination.answered[right]
    student.at, student.answers = at, answers + 1


def _surer(variance: float, information: float, noise: float, most: float) -> float:
    """The variance after an answer; learning adds a share of what it has lost."""
    left = variance - variance * variance * information
    left += noise * (most - left)
    if left < variance:
        return left
    return variance


def _remember(student: StudentState, item_id: str, right: int) -> None:
    items = student.items
    known = items.pop(item_id, None)
    if known is None:
        items[item_id] = Remembered(right, 1, student.answers)
        if len(items) > MEMORY:
            del items[next(iter(items))]
    else:
        items[item_id] = Remembered(right, known.attempts + 1, student.answers)


def teach_levels(shared: Shared, student: StudentState, row: AnswerGiven, features: AnswerFeatures) -> None:
    """The answer, to what all students share of levels and paces; to be called before ``show``."""
    item_id, skills, right, _ = row
    residual, weight = right - features.first, features.first * (1.0 - features.first)
    scale = 1.0 + weight * features.variance
    if features.item is NO_ITEM:
        features.item = shared.items[item_id] = Item(answered(len(shared.items)))
    if features.combination is NO_COMBINATION:
        features.combination = shared.combinations[skills] = Combination(answered(len(shared.combinations)))
    item = features.item
    item.difficulty -= item.variance * residual / scale
    item.variance -= item.variance**2 * weight / scale
    for name in skills:
        level, variance = shared.skills.get(name) or shared.new_skill()
        part = variance / len(skills)
        shared.skills[name] = (level + part * residual / scale, max(FIRM, variance - part**2 * weight / scale))
    shared.answers += 1
    shared.usual += max(1.0 / (shared.answers + 20), 0.0005) * 4 * residual
    if student.before != NOTHING and features.gap < PAUSE:
        last = shared.items[student.item_before]
        last.paces += 1.0
        last.pace += (log1p(features.gap) - last.pace) / last.paces


def teach_effects(
    shared: Shared, student: StudentState, residual: float, weight: float, features: AnswerFeatures
) -> None:
    """What the levels leave unexplained of an answer, to the effects it belongs to; to be called before ``show``."""
    item, combination = features.item, features.combination
    two, again, all_lately, practice, lately, in_a_row = features.keys
    places = [
        (item.again, again),
        (shared.lately, all_lately),
        (combination.practised, practice),
        (combination.lately, lately),
        (combination.in_a_row, in_a_row),
    ]
    if student.before != NOTHING:
        places += (
            (combination.after, student.combined_before),
            (item.after, student.before),
            (item.after_item, student.before >> 1),
            (item.after_two, two),
        )
        unexplained = complex(residual, weight)
        for recent in student.recent:
            item.after_any[recent] = item.after_any.get(recent, 0j) + unexplained
    for table, key in places:
        table[key] = learned(table.get(key, NONE), residual, weight)


def fit(students: Sequence[Sequence[AnswerGiven]], *, seed: int = 0) -> Shared:
    """Learn from students, in the order given.

    The head is trained on what was known before each answer, never with what that answer taught: of each student by
    tables that the other parts of the students taught.
    """
    parts: list[Floats] = []
    rights: list[int] = []
    for turn in range(ROTATIONS):
        first, last = turn * len(students) // ROTATIONS, (turn + 1) * len(students) // ROTATIONS
        shared = _taught((*students[:first], *students[last:]))
        for rows in students[first:last]:
            parts.append(np.array([features.inputs for _, _, features in _followed(shared, rows)], np.float32))
            rights += [right for _, _, right, _ in rows]
    shared = _taught(students)
    shared.head = train(logged(np.concatenate(parts)), np.array(rights, np.float32), seed=seed)
    return shared


def _taught(students: Sequence[Sequence[AnswerGiven]]) -> Shared:
    """All tables: first the levels, in one pass, then in another what these leave unexplained."""
    shared = Shared()
    for rows in students:
        for row, student, features in _followed(shared, rows):
            teach_levels(shared, student, row, features)
    unexplained: list[list[Residual]] = []
    for rows in students:
        residuals: list[Residual] = []
        for (item_id, _, right, _), student, features in _followed(shared, rows):
            residual, weight = right - features.first, features.first * (1.0 - features.first)
            teach_effects(shared, student, residual, weight, features)
            residuals.append((item_id, residual, weight))
        unexplained.append(residuals)
    for item_id, loadings in loadings_of(unexplained).items():
        shared.items[item_id].loadings = loadings
    return shared


def _followed(
    shared: Shared, rows: Sequence[AnswerGiven]
) -> Iterator[tuple[AnswerGiven, StudentState, AnswerFeatures]]:
    """Each answer of a student with what is known before it; it is shown when the next one is asked for."""
    student = StudentState()
    for row in rows:
        item_id, skills, right, at = row
        features = see(shared, student, item_id, skills, at)
        yield row, student, features
        show(student, item_id, skills, right, at, features)
