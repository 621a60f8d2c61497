"""What an answer teaches the next-answer model: ``learn`` of all students, ``remember`` of the one who gave it."""

from math import log1p

from mastery_engine.lab.response_memory import (
    FADE_1,
    FADE_8,
    FADE_40,
    GENERAL_NOISE,
    GENERAL_VARIANCE,
    HOUR,
    ITEMS_KEPT,
    LAST_ITEMS,
    LEAST_OFFSET_VARIANCE,
    SKILL_NOISE,
    SKILL_VARIANCE,
    UNKNOWN_GROUP,
    UNKNOWN_ITEM,
    UNPRACTISED,
    Effects,
    Group,
    Item,
    Learner,
    Practice,
    Shared,
)
from mastery_engine.lab.response_view import PAUSE_S, View
from mastery_engine.lab.responses import Response

MAX_SKILLS = 1_000


def remember(learner: Learner, response: Response, seen: View) -> None:
    """Move a student's memory by an answer: one step of a Kalman filter on the levels, and what fades faded.

    In place and in constant time: a run over a file owns its learners.
    """
    right, wrong, at, skills = response.right, 1 - response.right, response.at, response.skills
    weight = seen.chance * (1.0 - seen.chance)
    residual = right - seen.chance
    scale = 1.0 + weight * seen.variance
    variance = seen.general_variance
    learner.mean += variance * residual / scale
    left = variance - variance * variance * weight / scale
    learner.variance = min(variance, left + GENERAL_NOISE * (GENERAL_VARIANCE - left))
    for skill, known, spread in zip(skills, seen.practices, seen.spreads, strict=True):
        one = Practice() if known is UNPRACTISED else known
        share = spread / len(skills)
        one.mean += share * residual / scale
        left = spread - share * share * weight / scale
        one.variance = min(spread, left + SKILL_NOISE * (SKILL_VARIANCE - left))
        _practise(one, right, residual)
        one.place, one.at = learner.answers, at
        learner.skills.pop(skill, None)
        learner.skills[skill] = one
    while len(learner.skills) > MAX_SKILLS:
        del learner.skills[next(iter(learner.skills))]
    learner.counts = _faded(learner.counts, right, residual)
    lately = list(seen.lately)
    for place in range(wrong, 8, 2):
        lately[place] += 1.0
    learner.lately = lately
    _note(learner, response, seen)


def _practise(one: Practice, right: int, residual: float) -> None:
    wrong = 1 - right
    one.wins_1, one.fails_1 = one.wins_1 * FADE_1 + right, one.fails_1 * FADE_1 + wrong
    one.wins_8, one.fails_8 = one.wins_8 * FADE_8 + right, one.fails_8 * FADE_8 + wrong
    one.wins, one.fails = one.wins + right, one.fails + wrong
    credit, debit = one.credit * FADE_8, one.debit * FADE_8
    if right:
        one.credit, one.debit = max(one.credit, credit + residual), debit
    else:
        one.credit, one.debit = credit, max(one.debit, debit - residual)
    one.last_four = (one.last_four << 1 | right) & 15 | (16 if one.last_four >= 8 else 0)


def _faded(counts: list[float], right: int, residual: float) -> list[float]:
    wins_1, fails_1, wins_8, fails_8, wins_40, fails_40, credit_8, debit_8, credit_40, debit_40 = counts
    wrong = 1 - right
    faded = [credit_8 * FADE_8, debit_8 * FADE_8, credit_40 * FADE_40, debit_40 * FADE_40]
    if right:
        faded[0], faded[2] = max(credit_8, faded[0] + residual), max(credit_40, faded[2] + residual)
    else:
        faded[1], faded[3] = max(debit_8, faded[1] - residual), max(debit_40, faded[3] - residual)
    return [
        wins_1 * FADE_1 + right,
        fails_1 * FADE_1 + wrong,
        wins_8 * FADE_8 + right,
        fails_8 * FADE_8 + wrong,
        wins_40 * FADE_40 + right,
        fails_40 * FADE_40 + wrong,
        *faded,
    ]


def _note(learner: Learner, response: Response, seen: View) -> None:
    """Which item this was, and what came before."""
    item, right = response.item, response.right
    learner.wins += right
    learner.run = learner.run + 1 if seen.same else 0
    learner.session = learner.session + 1 if seen.gap < HOUR else 0
    if learner.last is not None:
        learner.recent = (*learner.recent, learner.last)[-LAST_ITEMS:]
        if seen.gap < PAUSE_S:
            learner.pace = learner.pace * 0.9 + seen.pace * 0.1
    tried = learner.items.pop(item, (0, 0, 0, 0))
    learner.items[item] = (right, tried[1] + 1, tried[2] + right, learner.answers)
    if len(learner.items) > ITEMS_KEPT:
        del learner.items[next(iter(learner.items))]
    learner.last_pace = seen.pace
    learner.before_last, learner.last, learner.last_skills = learner.last, (item, right), response.skills
    learner.at = response.at
    learner.answers += 1
    learner.last_five = (learner.last_five << 1 | right) & 31 | (32 if learner.last_five >= 16 else 0)


def learn(shared: Shared, learner: Learner, response: Response, seen: View) -> None:
    """Teach what all students share, before the answer is remembered; on the students that are fitted on alone."""
    weight = seen.chance * (1.0 - seen.chance)
    residual = response.right - seen.chance
    scale = 1.0 + weight * seen.variance
    item, group = seen.item, seen.group
    if item is UNKNOWN_ITEM:
        item = shared.items[response.item] = Item()
    if group is UNKNOWN_GROUP:
        group = shared.groups[response.skills] = Group()
    variance = item.variance
    item.difficulty -= variance * residual / scale
    item.variance = variance - variance * variance * weight / scale
    for skill in response.skills:
        level, variance = shared.offset(skill)
        share = variance / len(response.skills)
        left = max(LEAST_OFFSET_VARIANCE, variance - share * share * weight / scale)
        shared.offsets[skill] = (level + share * residual / scale, left)
    shared.answers += 1
    shared.usual += max(1.0 / (shared.answers + 20), 0.0005) * 4.0 * residual
    keys, last = seen.keys, learner.last
    kept: list[tuple[Effects, object]] = [
        (item.again, keys.again),
        (shared.by_history, keys.history),
        (group.by_count, keys.count),
        (group.by_last, keys.last),
        (group.by_run, keys.run),
        (group.after, keys.after_skills),
    ]
    if last is not None:
        kept += [(item.after, last), (item.after_two, (learner.before_last, last))]
        kept += [(item.amid, moment) for moment in learner.recent]
        if seen.gap < PAUSE_S:
            pace = shared.paces.setdefault(last[0], [0.0, 0.0])
            pace[0] += log1p(seen.gap)
            pace[1] += 1.0
    for effects, key in kept:
        effect = effects.get(key)
        if effect is None:
            effects[key] = [residual, weight]
        else:
            effect[0] += residual
            effect[1] += weight
