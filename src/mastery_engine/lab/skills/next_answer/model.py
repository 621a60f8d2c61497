"""Predict, learn, fit."""

from collections.abc import Iterator, Sequence
from math import exp, log1p
from typing import TypeAlias

import numpy as np

from mastery_engine.lab.skills.next_answer.answer_features import PAUSE, Sight, see
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
    Learner,
    Remembered,
    Skills,
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

Row: TypeAlias = tuple[str, Skills, int, float]  # item, skills, right, seconds


def predict(shared: Shared, learner: Learner, item_id: str, skills: Skills, at: float) -> tuple[float, Sight]:
    """The probability of a right answer, and what it rests on."""
    sight = see(shared, learner, item_id, skills, at)
    if shared.head is None:
        return sight.first, sight
    logit = shared.head.logit(sight.features)
    return 1.0 / (1.0 + exp(-max(-30.0, logit))), sight


def show(learner: Learner, item_id: str, skills: Skills, right: int, at: float, sight: Sight) -> None:
    """The answer, to the student's own state; ``sight`` is what was seen before it."""
    first, general, answers = sight.first, sight.general, learner.answers
    residual, weight = right - first, first * (1.0 - first)
    scale = 1.0 + weight * sight.variance
    told, information, part = residual / scale, weight / scale, 1.0 / len(skills)
    learner.mean += general * told
    learner.variance = _surer(general, information, GENERAL_NOISE, GENERAL_VARIANCE)
    for name, skill, spread in sight.practised:
        skill.mean += spread * part * told
        skill.variance = _surer(spread, part * part * information, SKILL_NOISE, SKILL_VARIANCE)
        skill.counts = skill_counts(skill.counts, right, residual)
        skill.place, skill.at = answers, at
        skill.last_four = _AFTER_FOUR[right][skill.last_four]
        learner.skills[name] = skill
    if sight.shift_variance > 0.0:
        unexplained = residual - weight * sight.shift
        learner.traits, learner.trait_variances = moved(
            learner.traits, learner.trait_variances, sight.item.loadings, unexplained, weight, sight.shift_variance
        )
    learner.faded = faded_counts(learner.faded, right, residual)
    learner.timed, learner.quick = sight.timed, sight.quick
    learner.last_five = _AFTER_FIVE[right][learner.last_five]
    learner.right += right
    learner.run = learner.run + 1 if sight.same_item else 0
    _remember(learner, item_id, right)
    if learner.before != NOTHING:
        learner.recent.append(learner.before)
    item = sight.item
    learner.pace, learner.pace_before, learner.usual_pace = sight.paces, sight.pace, item.pace
    learner.item_before, learner.skills_before, learner.right_before = item_id, skills, right
    learner.before_that, learner.before = learner.before, item.answered[right]
    learner.combined_before = sight.combination.answered[right]
    learner.at, learner.answers = at, answers + 1


def _surer(variance: float, information: float, noise: float, most: float) -> float:
    """The variance after an answer; learning adds a share of what it has lost."""
    left = variance - variance * variance * information
    left += noise * (most - left)
    if left < variance:
        return left
    return variance


def _remember(learner: Learner, item_id: str, right: int) -> None:
    items = learner.items
    known = items.pop(item_id, None)
    if known is None:
        items[item_id] = Remembered(right, 1, learner.answers)
        if len(items) > MEMORY:
            del items[next(iter(items))]
    else:
        items[item_id] = Remembered(right, known.attempts + 1, learner.answers)


def teach_levels(shared: Shared, learner: Learner, row: Row, sight: Sight) -> None:
    """The answer, to what all students share of levels and paces; to be called before ``show``."""
    item_id, skills, right, _ = row
    residual, weight = right - sight.first, sight.first * (1.0 - sight.first)
    scale = 1.0 + weight * sight.variance
    if sight.item is NO_ITEM:
        sight.item = shared.items[item_id] = Item(answered(len(shared.items)))
    if sight.combination is NO_COMBINATION:
        sight.combination = shared.combinations[skills] = Combination(answered(len(shared.combinations)))
    item = sight.item
    item.difficulty -= item.variance * residual / scale
    item.variance -= item.variance**2 * weight / scale
    for name in skills:
        level, variance = shared.skills.get(name) or shared.new_skill()
        part = variance / len(skills)
        shared.skills[name] = (level + part * residual / scale, max(FIRM, variance - part**2 * weight / scale))
    shared.answers += 1
    shared.usual += max(1.0 / (shared.answers + 20), 0.0005) * 4 * residual
    if learner.before != NOTHING and sight.gap < PAUSE:
        last = shared.items[learner.item_before]
        last.paces += 1.0
        last.pace += (log1p(sight.gap) - last.pace) / last.paces


def teach_effects(shared: Shared, learner: Learner, residual: float, weight: float, sight: Sight) -> None:
    """What the levels leave unexplained of an answer, to the effects it belongs to; to be called before ``show``."""
    item, combination = sight.item, sight.combination
    two, again, all_lately, practice, lately, in_a_row = sight.keys
    places = [
        (item.again, again),
        (shared.lately, all_lately),
        (combination.practised, practice),
        (combination.lately, lately),
        (combination.in_a_row, in_a_row),
    ]
    if learner.before != NOTHING:
        places += (
            (combination.after, learner.combined_before),
            (item.after, learner.before),
            (item.after_item, learner.before >> 1),
            (item.after_two, two),
        )
        told = complex(residual, weight)
        for recent in learner.recent:
            item.after_any[recent] = item.after_any.get(recent, 0j) + told
    for table, key in places:
        table[key] = learned(table.get(key, NONE), residual, weight)


def fit(students: Sequence[Sequence[Row]], *, seed: int = 0) -> Shared:
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
            parts.append(np.array([sight.features for _, _, sight in _followed(shared, rows)], np.float32))
            rights += [right for _, _, right, _ in rows]
    shared = _taught(students)
    shared.head = train(logged(np.concatenate(parts)), np.array(rights, np.float32), seed=seed)
    return shared


def _taught(students: Sequence[Sequence[Row]]) -> Shared:
    """All tables: first the levels, in one pass, then in another what these leave unexplained."""
    shared = Shared()
    for rows in students:
        for row, learner, sight in _followed(shared, rows):
            teach_levels(shared, learner, row, sight)
    unexplained: list[list[Residual]] = []
    for rows in students:
        found: list[Residual] = []
        for (item_id, _, right, _), learner, sight in _followed(shared, rows):
            residual, weight = right - sight.first, sight.first * (1.0 - sight.first)
            teach_effects(shared, learner, residual, weight, sight)
            found.append((item_id, residual, weight))
        unexplained.append(found)
    for item_id, loadings in loadings_of(unexplained).items():
        shared.items[item_id].loadings = loadings
    return shared


def _followed(shared: Shared, rows: Sequence[Row]) -> Iterator[tuple[Row, Learner, Sight]]:
    """Each answer of a student with what is known before it; it is shown when the next one is asked for."""
    learner = Learner()
    for row in rows:
        item_id, skills, right, at = row
        sight = see(shared, learner, item_id, skills, at)
        yield row, learner, sight
        show(learner, item_id, skills, right, at, sight)
