"""Predict, learn, fit."""

from collections.abc import Callable, Hashable, Sequence
from math import exp, log1p
from typing import TypeAlias, TypeVar

import numpy as np

from mastery_engine.lab.next_answer.head import Floats, logged, train
from mastery_engine.lab.next_answer.shared import (
    FIRM,
    NO_COMBINATION,
    NO_ITEM,
    Combination,
    Effect,
    Item,
    Shared,
)
from mastery_engine.lab.next_answer.sight import PAUSE, Sight, see
from mastery_engine.lab.next_answer.student import (
    FAST,
    GENERAL_NOISE,
    GENERAL_VARIANCE,
    HOUR,
    MEMORY,
    MIDDLE,
    RECENT,
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
Key = TypeVar("Key", bound=Hashable)


def predict(shared: Shared, learner: Learner, item_id: str, skills: Skills, at: float) -> tuple[float, Sight]:
    """The probability of a right answer, and what it rests on."""
    sight = see(shared, learner, item_id, skills, at)
    if shared.head is None:
        return sight.first, sight
    logit = shared.head.logit(sight.features)
    return 1.0 / (1.0 + exp(-max(-30.0, logit))), sight


def show(learner: Learner, item_id: str, skills: Skills, right: int, at: float, sight: Sight) -> None:
    """The answer, to the student's own state; ``sight`` is what was seen before it."""
    residual, weight = right - sight.first, sight.first * (1.0 - sight.first)
    scale = 1.0 + weight * sight.variance
    number = len(skills)
    learner.mean += sight.general * residual / scale
    learner.variance = _surer(sight.general, 1.0, weight / scale, GENERAL_NOISE, GENERAL_VARIANCE)
    for name, skill in zip(skills, sight.practised, strict=True):
        spread = skill.variance_at(at)
        skill.mean += spread / number * residual / scale
        skill.variance = _surer(spread, 1.0 / number, weight / scale, SKILL_NOISE, SKILL_VARIANCE)
        skill.learn(right, residual, learner.answers, at)
        learner.skills[name] = skill
    _count(learner, right, residual, sight)
    if learner.before is not None:
        learner.recent = (*learner.recent, learner.before)[-RECENT:]
        if sight.gap < PAUSE:
            learner.pace = learner.pace * 0.9 + sight.pace * 0.1
    known = learner.items.pop(item_id, None)
    attempts, successes = (0, 0) if known is None else (known.attempts, known.right)
    learner.items[item_id] = Remembered(right, attempts + 1, successes + right, learner.answers)
    if len(learner.items) > MEMORY:
        del learner.items[next(iter(learner.items))]
    learner.pace_before = sight.pace
    learner.before_that, learner.before, learner.skills_before = learner.before, (item_id, right), skills
    learner.at = at
    learner.answers += 1


def _surer(variance: float, part: float, information: float, noise: float, most: float) -> float:
    """The variance after an answer that this is a part of; learning adds a share of what it has lost."""
    left = variance - (variance * part) ** 2 * information
    return min(variance, left + noise * (most - left))


def _count(learner: Learner, right: int, residual: float, sight: Sight) -> None:
    wrong = 1 - right
    a, b, c, d, e, f = learner.decayed
    learner.decayed = [
        a * FAST + right,
        b * FAST + wrong,
        c * MIDDLE + right,
        d * MIDDLE + wrong,
        e * SLOW + right,
        f * SLOW + wrong,
    ]
    above, below, above_slow, below_slow = learner.credit
    learner.credit = [*credited(above, below, residual, MIDDLE), *credited(above_slow, below_slow, residual, SLOW)]
    a, b, c, d, e, f, g, h = sight.timed
    learner.timed = [a + right, b + wrong, c + right, d + wrong, e + right, f + wrong, g + right, h + wrong]
    learner.right, learner.wrong = learner.right + right, learner.wrong + wrong
    learner.run = learner.run + 1 if sight.same_item else 0
    learner.session = learner.session + 1 if sight.gap < HOUR else 0
    learner.last_five = (learner.last_five << 1 | right) & 31 | (32 if learner.last_five >= 16 else 0)


def teach(shared: Shared, learner: Learner, item_id: str, skills: Skills, right: int, sight: Sight) -> None:
    """The answer, to what all students share; to be called before ``show``."""
    residual, weight = right - sight.first, sight.first * (1.0 - sight.first)
    scale = 1.0 + weight * sight.variance
    item, combination = sight.item, sight.combination
    if item is NO_ITEM:
        item = shared.items[item_id] = Item()
    if combination is NO_COMBINATION:
        combination = shared.combinations[skills] = Combination()
    item.difficulty -= item.variance * residual / scale
    item.variance -= item.variance**2 * weight / scale
    for name in skills:
        level, variance = shared.skill(name)
        part = variance / len(skills)
        shared.skills[name] = (level + part * residual / scale, max(FIRM, variance - part**2 * weight / scale))
    shared.answers += 1
    shared.usual += max(1.0 / (shared.answers + 20), 0.0005) * 4 * residual
    keys = sight.keys
    _add(item.again, keys.again, residual, weight)
    _add(shared.lately, keys.lately, residual, weight)
    _add(combination.practised, keys.practised, residual, weight)
    _add(combination.lately, keys.skills_lately, residual, weight)
    _add(combination.in_a_row, keys.in_a_row, residual, weight)
    _add(combination.after, keys.skills, residual, weight)
    if learner.before is not None:
        _add(item.after, learner.before, residual, weight)
        _add(item.after_two, (learner.before_that, learner.before), residual, weight)
        for recent in learner.recent:
            _add(item.after_any, recent, residual, weight)
        if sight.gap < PAUSE:
            _add(shared.seconds, learner.before[0], log1p(sight.gap), 1.0)


def _add(table: dict[Key, Effect], key: Key, residual: float, information: float) -> None:
    found = table.get(key)
    if found is None:
        table[key] = [residual, information]
    else:
        found[0] += residual
        found[1] += information


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
