"""Everything that is known just before an answer: the features, the first estimate, and where its residual belongs."""

from math import exp, log1p, sqrt

from msgspec import Struct

from mastery_engine.lab.next_answer.shared import (
    NO_COMBINATION,
    NO_ITEM,
    SHRINK,
    Combination,
    Effect,
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
    gap = 0.0 if learner.at is None else max(0.0, at - learner.at)
    general = min(GENERAL_VARIANCE, learner.variance + DRIFT * gap / DAY)
    timed = learner.timed
    pace, usual_pace = 0.0, learner.pace
    if learner.at is not None and learner.before is not None:
        timed = [count * exp(_FADES[place // 2] * gap) for place, count in enumerate(timed)]
        if gap < PAUSE:
            known = shared.seconds.get(learner.before[0], (0.0, 0.0))
            pace = log1p(gap) - (known[0] + 2 * USUAL_PACE) / (known[1] + 2)
            usual_pace = usual_pace * 0.9 + pace * 0.1
    item = shared.items.get(item_id, NO_ITEM)
    combination = shared.combinations.get(skills, NO_COMBINATION)
    practised = [learner.skills.get(name) or SkillCounts() for name in skills]
    number = len(skills)
    usual = sum(shared.skill(name)[0] for name in skills) / number
    skill_level = sum(one.mean for one in practised) / number
    spread = sum(one.variance_at(at) + shared.skill(name)[1] for name, one in zip(skills, practised, strict=True))
    level = learner.mean + skill_level + usual - item.difficulty
    variance = general + item.variance + spread / number**2
    known_item = learner.items.get(item_id)
    last_right = learner.before[1] if learner.before else 0
    same_item = learner.before is not None and learner.before[0] == item_id
    same_skills = skills == learner.skills_before
    row = min(learner.run, 20) << 3 if same_item else 168
    keys = Keys(
        (learner.skills_before, last_right),
        0 if known_item is None else min(known_item.attempts, 4) << 1 | known_item.last,
        learner.last_five << 2 | same_skills << 1 | same_item,
        tuple([min(one.right + one.wrong, 8) for one in practised]),
        tuple([one.last_four for one in practised]),
        row | last_right << 2 | (0 if known_item is None else 2 | known_item.last),
    )
    place, when = max(one.place for one in practised), max(one.at for one in practised)
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
        *[sum(column) / number for column in zip(*[_counts(one) for one in practised], strict=True)],
        learner.answers - place if place >= 0 else LONG_AGO,
        max(0.0, at - when) if when > NEVER / 10 else -NEVER,
        gap,
        *(
            (0.5, 0, 0, LONG_AGO)
            if known_item is None
            else (known_item.last, known_item.attempts, known_item.right, learner.answers - known_item.place)
        ),
        learner.run + 1 if same_item else 0,
        same_skills,
        same_item,
        number if same_skills else len(set(skills) & set(learner.skills_before)),
        last_right,
        number,
        learner.session,
        pace,
        pace * last_right,
        learner.pace_before,
        usual_pace,
        *_effects(shared, learner, item, combination, keys),
    ]
    first = 1.0 / (1.0 + exp(-max(-30.0, level / sqrt(1.0 + 0.35 * variance))))
    return Sight(features, first, variance, general, practised, timed, item, combination, keys, gap, pace, same_item)


def _counts(one: SkillCounts) -> tuple[float, ...]:
    fast, middle = (one.right_fast, one.wrong_fast), (one.right_middle, one.wrong_middle)
    return (*fast, *middle, one.right, one.wrong, one.above, one.below)


def _effects(shared: Shared, learner: Learner, item: Item, combination: Combination, keys: Keys) -> list[float]:
    """How much better or worse it goes than the levels say, after what came before and with practice."""
    before = learner.before
    one: Effect | None = None
    other: Effect | None = None
    two: Effect | None = None
    skills: Effect | None = None
    if before is not None:
        one, other = item.after.get(before), item.after.get((before[0], 1 - before[1]))
        two = item.after_two.get((learner.before_that, before))
        skills = combination.after.get(keys.skills)
    any_of_them = [item.after_any.get(recent) for recent in learner.recent] if item.after_any else []
    found = [
        effect((one,)),
        effect((one, other)),
        effect((skills,)),
        effect((two,)),
        effect((item.again.get(keys.again),)),
        effect((shared.lately.get(keys.lately),)),
        effect((combination.practised.get(keys.practised),)),
        effect((combination.lately.get(keys.skills_lately),)),
        effect((combination.in_a_row.get(keys.in_a_row),)),
        effect(any_of_them, 2 * SHRINK),
    ]
    return [part for pair in found for part in pair]
