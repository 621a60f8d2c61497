"""Everything that is known just before an answer: the features, the first estimate, and where its residual belongs."""

from math import exp, log1p, sqrt

from msgspec import Struct

from mastery_engine.lab.next_answer.shared import (
    NO_COMBINATION,
    NO_ITEM,
    SHRINK,
    Combination,
    Item,
    Shared,
    effect,
)
from mastery_engine.lab.next_answer.student import (
    DAY,
    DRIFT,
    GENERAL_VARIANCE,
    HOUR,
    NEVER,
    Learner,
    SkillCounts,
    Skills,
)

PAUSE = 1_800.0  # seconds: a longer gap says nothing of the pace
USUAL_PACE = 4.0  # log1p(seconds) between answers, where an item's is unknown
LONG_AGO = 9_999
_NOTHING_BEFORE = (0.0,) * 8
_FADES = tuple(-0.6931471805599453 / life for life in (HOUR, DAY, 7 * DAY, 30 * DAY))


class Keys(Struct):
    """The places in the shared tables that this answer belongs to."""

    skills: tuple[Skills, int]
    again: int
    lately: int
    practised: tuple[int, ...]
    skills_lately: tuple[int, ...]
    in_a_row: int


class Sight(Struct):
    """What is seen. ``first`` is the estimate from levels alone, ``variance`` that of its log-odds."""

    features: list[float]
    first: float
    variance: float
    general: float
    practised: list[SkillCounts]
    timed: list[float]
    item: Item
    combination: Combination
    keys: Keys
    gap: float
    pace: float
    same_item: bool


def see(shared: Shared, learner: Learner, item_id: str, skills: Skills, at: float) -> Sight:
    """What is known before an answer at ``at``, in seconds."""
    gap, general, timed, pace, usual_pace = _time(shared, learner, at)
    item = shared.items.get(item_id, NO_ITEM)
    combination = shared.combinations.get(skills, NO_COMBINATION)
    practised = [learner.skills.get(name) or SkillCounts() for name in skills]
    number = len(skills)
    usual, skill_level, spread, place, when, counts = _skills(shared, skills, practised, at)
    level = learner.mean + skill_level + usual - item.difficulty
    variance = general + item.variance + spread
    known = learner.items.get(item_id)
    before = learner.before
    same_item, last_right = (False, 0) if before is None else (before[0] == item_id, before[1])
    same_skills = skills == learner.skills_before
    if known is None:
        last, attempts, right, since, again, tried = 0.5, 0, 0, LONG_AGO, 0, 0
    else:
        last, attempts, right = known.last, known.attempts, known.right
        since, again, tried = learner.answers - known.place, min(attempts, 4) << 1 | known.last, 2 | known.last
    row = min(learner.run, 20) << 3 if same_item else 168
    keys = Keys(
        (learner.skills_before, last_right),
        again,
        learner.last_five << 2 | same_skills << 1 | same_item,
        tuple([min(one.right + one.wrong, 8) for one in practised]),
        tuple([one.last_four for one in practised]),
        row | last_right << 2 | tried,
    )
    features = [
        level,
        item.difficulty,
        item.variance,
        usual,
        learner.mean,
        skill_level,
        *learner.decayed,
        *learner.credit,
        *timed,
        learner.right,
        learner.wrong,
        *counts,
        learner.answers - place if place >= 0 else LONG_AGO,
        max(0.0, at - when) if when > NEVER / 10 else -NEVER,
        gap,
        last,
        attempts,
        right,
        since,
        learner.run + 1 if same_item else 0,
        same_skills,
        same_item,
        number if same_skills else len(set(skills).intersection(learner.skills_before)),
        last_right,
        number,
        learner.session,
        pace,
        pace * last_right,
        learner.pace_before,
        usual_pace,
    ]
    _add_effects(features, shared, learner, item, combination, keys)
    first = 1.0 / (1.0 + exp(-max(-30.0, level / sqrt(1.0 + 0.35 * variance))))
    return Sight(features, first, variance, general, practised, timed, item, combination, keys, gap, pace, same_item)


def _time(shared: Shared, learner: Learner, at: float) -> tuple[float, float, list[float], float, float]:
    """The gap, what it has done to the general variance and to the counts, the pace, and the usual pace."""
    if learner.at is None or learner.before is None:
        return 0.0, learner.variance, learner.timed, 0.0, learner.pace
    gap = max(0.0, at - learner.at)
    general = min(GENERAL_VARIANCE, learner.variance + DRIFT * gap / DAY)
    a, b, c, d, e, f, g, h = learner.timed
    hour, day, week, month = _FADES
    hour, day, week, month = exp(hour * gap), exp(day * gap), exp(week * gap), exp(month * gap)
    timed = [a * hour, b * hour, c * day, d * day, e * week, f * week, g * month, h * month]
    if gap >= PAUSE:
        return gap, general, timed, 0.0, learner.pace
    known = shared.seconds.get(learner.before[0])
    usual = USUAL_PACE if known is None else (known[0] + 2 * USUAL_PACE) / (known[1] + 2)
    pace = log1p(gap) - usual
    return gap, general, timed, pace, learner.pace * 0.9 + pace * 0.1


def _skills(
    shared: Shared, skills: Skills, practised: list[SkillCounts], at: float
) -> tuple[float, float, float, int, float, list[float]]:
    """Of the skills together: usual level, level, variance of both, when last practised (answer, second), counts."""
    one = practised[0]
    usual, variance = shared.skill(skills[0])
    spread, place, when = variance + one.variance_at(at), one.place, one.at
    counts = [
        one.right_fast,
        one.wrong_fast,
        one.right_middle,
        one.wrong_middle,
        one.right,
        one.wrong,
        one.above,
        one.below,
    ]
    number = len(skills)
    if number == 1:
        return usual, one.mean, spread, place, when, counts
    level = one.mean
    for name, other in zip(skills[1:], practised[1:], strict=True):
        more, variance = shared.skill(name)
        usual, level, spread = usual + more, level + other.mean, spread + variance + other.variance_at(at)
        place, when = max(place, other.place), max(when, other.at)
        counts[0] += other.right_fast
        counts[1] += other.wrong_fast
        counts[2] += other.right_middle
        counts[3] += other.wrong_middle
        counts[4] += other.right
        counts[5] += other.wrong
        counts[6] += other.above
        counts[7] += other.below
    return usual / number, level / number, spread / number**2, place, when, [count / number for count in counts]


def _add_effects(
    features: list[float], shared: Shared, learner: Learner, item: Item, combination: Combination, keys: Keys
) -> None:
    """How much better or worse it goes than the levels say, after what came before and with practice."""
    before = learner.before
    if before is None:
        features += _NOTHING_BEFORE
    else:
        one, other = item.after.get(before), item.after.get((before[0], 1 - before[1]))
        features += effect(one)
        features += effect(one if other is None else other if one is None else [one[0] + other[0], one[1] + other[1]])
        features += effect(combination.after.get(keys.skills))
        features += effect(item.after_two.get((learner.before_that, before)))
    features += effect(item.again.get(keys.again))
    features += effect(shared.lately.get(keys.lately))
    features += effect(combination.practised.get(keys.practised))
    features += effect(combination.lately.get(keys.skills_lately))
    features += effect(combination.in_a_row.get(keys.in_a_row))
    residual = information = 0.0
    after_any = item.after_any
    if after_any:
        for recent in learner.recent:
            found = after_any.get(recent)
            if found is not None:
                residual += found[0]
                information += found[1]
    features += (residual / (information + 2 * SHRINK), information / (information + 2 * SHRINK))
