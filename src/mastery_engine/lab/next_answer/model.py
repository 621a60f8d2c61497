"""Predict, learn, fit."""

from collections.abc import Callable, Sequence
from math import exp, log1p
from typing import TypeAlias

import numpy as np

from mastery_engine.lab.next_answer.head import Floats, logged, train
from mastery_engine.lab.next_answer.shared import (
    FIRM,
    NO_COMBINATION,
    NO_ITEM,
    NONE,
    Combination,
    Effect,
    Effects,
    Item,
    Shared,
    answered,
)
from mastery_engine.lab.next_answer.sight import PAUSE, Sight, see
from mastery_engine.lab.next_answer.student import (
    FAST,
    GENERAL_NOISE,
    GENERAL_VARIANCE,
    HOUR,
    MEMORY,
    MIDDLE,
    NOTHING,
    SKILL_NOISE,
    SKILL_VARIANCE,
    SLOW,
    Learner,
    Remembered,
    Skills,
    credited,
)

ROTATIONS = 4

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
    told, part = residual / scale, 1.0 / len(skills)
    learner.mean += general * told
    learner.variance = _surer(general, 1.0, weight / scale, GENERAL_NOISE, GENERAL_VARIANCE)
    for name, skill, spread in zip(skills, sight.practised, sight.spreads, strict=True):
        skill.mean += spread * part * told
        skill.variance = _surer(spread, part, weight / scale, SKILL_NOISE, SKILL_VARIANCE)
        skill.learn(right, residual, answers, at)
        learner.skills[name] = skill
    _count(learner, right, residual, sight)
    if learner.before != NOTHING:
        learner.recent.append(learner.before)
        if sight.gap < PAUSE:
            learner.pace = learner.pace * 0.9 + sight.pace * 0.1
    items = learner.items
    known = items.pop(item_id, None)
    if known is None:
        items[item_id] = Remembered(right, 1, right, answers)
        if len(items) > MEMORY:
            del items[next(iter(items))]
    else:
        items[item_id] = Remembered(right, known.attempts + 1, known.right + right, answers)
    item = sight.item
    learner.pace_before, learner.usual_pace = sight.pace, item.usual_pace()
    learner.item_before, learner.skills_before, learner.right_before = item_id, skills, right
    learner.before_that, learner.before = learner.before, item.answered[right]
    learner.combined_before = sight.combination.answered[right]
    learner.at, learner.answers = at, answers + 1


def _surer(variance: float, part: float, information: float, noise: float, most: float) -> float:
    """The variance after an answer that this is a part of; learning adds a share of what it has lost."""
    left = variance - (variance * part) ** 2 * information
    return min(variance, left + noise * (most - left))


def _count(learner: Learner, right: int, residual: float, sight: Sight) -> None:
    wrong = 1 - right
    a, b, c, d, e, f = learner.decayed
    learner.decayed = (
        a * FAST + right,
        b * FAST + wrong,
        c * MIDDLE + right,
        d * MIDDLE + wrong,
        e * SLOW + right,
        f * SLOW + wrong,
    )
    above, below, above_slow, below_slow = learner.credit
    learner.credit = (*credited(above, below, residual, MIDDLE), *credited(above_slow, below_slow, residual, SLOW))
    a, b, c, d, e, f, g, h = sight.timed
    learner.timed = (a + right, b + wrong, c + right, d + wrong, e + right, f + wrong, g + right, h + wrong)
    learner.right += right
    learner.wrong += wrong
    learner.run = learner.run + 1 if sight.same_item else 0
    learner.session = learner.session + 1 if sight.gap < HOUR else 0
    learner.last_five = (learner.last_five << 1 | right) & 31 | (32 if learner.last_five >= 16 else 0)


def teach(shared: Shared, learner: Learner, item_id: str, skills: Skills, right: int, sight: Sight) -> None:
    """The answer, to what all students share; to be called before ``show``."""
    residual, weight = right - sight.first, sight.first * (1.0 - sight.first)
    scale = 1.0 + weight * sight.variance
    if sight.item is NO_ITEM:
        sight.item = shared.items[item_id] = Item(answered(len(shared.items)))
    if sight.combination is NO_COMBINATION:
        sight.combination = shared.combinations[skills] = Combination(answered(len(shared.combinations)))
    item, combination = sight.item, sight.combination
    item.difficulty -= item.variance * residual / scale
    item.variance -= item.variance**2 * weight / scale
    for name in skills:
        level, variance = shared.skill(name)
        part = variance / len(skills)
        shared.skills[name] = (level + part * residual / scale, max(FIRM, variance - part**2 * weight / scale))
    shared.answers += 1
    shared.usual += max(1.0 / (shared.answers + 20), 0.0005) * 4 * residual
    told = complex(residual, weight)
    two, again, lately, practised, skills_lately, in_a_row = sight.keys
    _add(item.again, again, told)
    _add(shared.lately, lately, told)
    _add(combination.practised, practised, told)
    _add(combination.lately, skills_lately, told)
    _add(combination.in_a_row, in_a_row, told)
    if learner.before == NOTHING:
        return
    _add(combination.after, learner.combined_before, told)
    _add(item.after, learner.before, told)
    _add(item.after_two, two, told)
    for recent in learner.recent:
        _add(item.after_any, recent, told)
    if sight.gap < PAUSE:
        shared.items[learner.item_before].seconds += complex(log1p(sight.gap), 1.0)


def _add(table: Effects, key: int, told: Effect) -> None:
    table[key] = table.get(key, NONE) + told


def fit(students: Sequence[Sequence[Row]], *, seed: int = 0, progress: Callable[[int], None] | None = None) -> Shared:
    """Learn from students, in the order given.

    The head is trained on what was known before each answer, never with what that answer taught. The order is rotated:
    of each rotation the last part alone is kept, so that the tables are as full as they will be when they are used.
    """
    parts: list[Floats] = []
    rights: list[int] = []
    shared = Shared()
    for turn in range(ROTATIONS):
        first, last = turn * len(students) // ROTATIONS, (turn + 1) * len(students) // ROTATIONS
        shared = Shared()
        for rows in (*students[:first], *students[last:]):
            _work(shared, rows)
            if progress is not None:
                progress(1)
        kept: list[list[float]] = []
        for rows in students[first:last]:
            kept += _work(shared, rows)
            rights += [right for _, _, right, _ in rows]
            if progress is not None:
                progress(1)
        if kept:
            parts.append(logged(np.array(kept, np.float32)))
    shared.head = train(np.concatenate(parts), np.array(rights, np.float32), seed=seed)
    return shared


def _work(shared: Shared, rows: Sequence[Row]) -> list[list[float]]:
    """Learn from one student's answers; what was known before each."""
    learner = Learner()
    seen = []
    for item_id, skills, right, at in rows:
        sight = see(shared, learner, item_id, skills, at)
        seen.append(sight.features)
        teach(shared, learner, item_id, skills, right, sight)
        show(learner, item_id, skills, right, at, sight)
    return seen
