"""What is known just before an answer, as the features of the next-answer model."""

from dataclasses import dataclass
from math import exp, log, log1p, sqrt
from typing import NamedTuple

from mastery_engine.lab.response_memory import (
    DAY,
    DRIFT,
    GENERAL_VARIANCE,
    HOUR,
    NEVER,
    UNKNOWN_GROUP,
    UNKNOWN_ITEM,
    UNPRACTISED,
    Effect,
    Effects,
    Group,
    Item,
    Learner,
    Practice,
    Shared,
    sigmoid,
)
from mastery_engine.lab.responses import Response

SHRINKAGE = 2.0  # prior information of an effect: a standard deviation of 0.7 log-odds
MANY, LONG_S = 9_999.0, 1e8
PAUSE_S = 1_800.0
MOST_COUNTED = 8
# σ(z) averaged over z with variance V is close to σ(z / sqrt(1 + 0.35 V)) (MacKay 1992 has π/8 for it).
PROBIT = 0.35
_RATES = tuple(-log(2.0) / half_life for half_life in (HOUR, DAY, 7 * DAY, 30 * DAY))

# A feature's sign says which way it may move the prediction, 0 either way.
_LEVELS = (("level", 1), ("difficulty", 0), ("difficulty_variance", 0), ("offset", 0), ("general", 1), ("skills", 1))
_COUNTS = (
    *((f"{what}_{answers}", sign) for answers in (1, 8, 40) for what, sign in (("wins", 1), ("fails", -1))),
    *((f"{what}_{answers}", sign) for answers in (8, 40) for what, sign in (("credit", 1), ("debit", -1))),
    *((f"{what}_{span}", sign) for span in ("hour", "day", "week", "month") for what, sign in (("wins", 1), ("fails", -1))),
    ("wins", 1),
    ("fails", -1),
    *((f"skill_{what}_{answers}", sign) for answers in (1, 8) for what, sign in (("wins", 1), ("fails", -1))),
    *(("skill_wins", 1), ("skill_fails", -1), ("skill_credit", 1), ("skill_debit", -1)),
    *(("answers_since_skill", -1), ("seconds_since_skill", -1), ("gap", 0)),
    *(("item_last", 1), ("item_attempts", 0), ("item_wins", 1), ("answers_since_item", 0), ("item_run", 0)),
)
_PLACE = ("same_skills", "same_item", "overlap", "last_right", "skill_count", "session")
_PACE = ("pace", "pace_if_right", "last_pace", "usual_pace")
_EFFECTS = ("after", "after_item", "after_skills", "after_two", "again", "history", "count", "last", "run", "amid")
FEATURES: tuple[tuple[str, int], ...] = (
    *_LEVELS,
    *_COUNTS,
    *((name, 0) for name in (*_PLACE, *_PACE)),
    *((f"{name}_{what}", 0) for name in _EFFECTS for what in ("effect", "support")),
)
LOGGED = slice(len(_LEVELS), len(_LEVELS) + len(_COUNTS))


class Keys(NamedTuple):
    """Under what an answer's residual is kept."""

    after_skills: tuple[tuple[str, ...], int]
    again: int
    history: int
    count: int | tuple[int, ...]
    last: int | tuple[int, ...]
    run: int


@dataclass(slots=True)
class View:
    """The features, the first stage's probability with the variance of its log-odds, and what an update will need."""

    features: list[float]
    chance: float
    variance: float
    general_variance: float
    practices: list[Practice]
    spreads: list[float]
    item: Item
    group: Group
    keys: Keys
    gap: float
    pace: float
    lately: list[float]
    same: bool


class _Together(NamedTuple):
    """The skills of an item as one: means of all but the two last."""

    offset: float
    offset_variance: float
    mean: float
    variance: float
    counts: list[float]
    place: int
    at: float


def view(shared: Shared, learner: Learner, response: Response) -> View:
    """Everything that is known just before an answer; the answer itself is not looked at."""
    item_id, skills, at, last = response.item, response.skills, response.at, learner.last
    gap, pace, lately, general_variance, usual_pace = _time(shared, learner, at)
    item = shared.items.get(item_id, UNKNOWN_ITEM)
    group = shared.groups.get(skills, UNKNOWN_GROUP)
    practices = [learner.skills.get(skill, UNPRACTISED) for skill in skills]
    spreads = [one.spread(at) for one in practices]
    one = _together(shared, skills, practices, spreads)
    level = learner.mean + one.mean + one.offset - item.difficulty
    variance = general_variance + one.variance + item.variance + one.offset_variance
    tried = learner.items.get(item_id)
    same = last is not None and last[0] == item_id
    right = 0 if last is None else last[1]
    same_skills = skills == learner.last_skills
    keys = _keys(learner, practices, tried, same=same, same_skills=same_skills)
    if tried is None:
        item_past: tuple[float, ...] = (0.5, 0.0, 0.0, MANY)
    else:
        item_past = (tried[0], tried[1], tried[2], learner.answers - tried[3])
    features = [
        *(level, item.difficulty, item.variance, one.offset, learner.mean, one.mean),
        *learner.counts,
        *lately,
        *(learner.wins, learner.answers - learner.wins),
        *one.counts,
        learner.answers - one.place if one.place >= 0 else MANY,
        max(0.0, at - one.at) if one.at != NEVER else LONG_S,
        *(gap, *item_past, learner.run + 1 if same else 0),
        *(same_skills, same, len(skills) if same_skills else len(set(skills).intersection(learner.last_skills))),
        *(right, len(skills), learner.session, pace, pace * right, learner.last_pace, usual_pace),
        *_effects(shared, learner, item, group, keys),
    ]
    chance = sigmoid(level / sqrt(1.0 + PROBIT * variance))
    return View(
        features,
        chance,
        variance,
        general_variance,
        practices,
        spreads,
        item,
        group,
        keys,
        gap,
        pace,
        lately,
        same,
    )


def _time(shared: Shared, learner: Learner, at: float) -> tuple[float, float, list[float], float, float]:
    """The gap, its log against what the item before usually takes, and what time has done to the rest."""
    if learner.at is None or learner.last is None:
        return 0.0, 0.0, learner.lately, learner.variance, learner.pace
    gap = max(0.0, at - learner.at)
    hour, day, week, month = [exp(rate * gap) for rate in _RATES]
    a, b, c, d, e, f, g, h = learner.lately
    lately = [a * hour, b * hour, c * day, d * day, e * week, f * week, g * month, h * month]
    variance = min(GENERAL_VARIANCE, learner.variance + DRIFT * gap / DAY)
    if gap >= PAUSE_S:
        return gap, 0.0, lately, variance, learner.pace
    known = shared.paces.get(learner.last[0])
    pace = log1p(gap) - (4.0 if known is None else (known[0] + 8.0) / (known[1] + 2.0))
    return gap, pace, lately, variance, learner.pace * 0.9 + pace * 0.1


def _together(
    shared: Shared, skills: tuple[str, ...], practices: list[Practice], spreads: list[float]
) -> _Together:
    number = len(skills)
    if number == 1:
        one = practices[0]
        counts = [one.wins_1, one.fails_1, one.wins_8, one.fails_8, one.wins, one.fails, one.credit, one.debit]
        return _Together(*shared.offset(skills[0]), one.mean, spreads[0], counts, one.place, one.at)
    offsets = [shared.offset(skill) for skill in skills]
    sums = [
        sum([one.wins_1 for one in practices]),
        sum([one.fails_1 for one in practices]),
        sum([one.wins_8 for one in practices]),
        sum([one.fails_8 for one in practices]),
        sum([one.wins for one in practices]),
        sum([one.fails for one in practices]),
        sum([one.credit for one in practices]),
        sum([one.debit for one in practices]),
    ]
    return _Together(
        sum([offset[0] for offset in offsets]) / number,
        sum([offset[1] for offset in offsets]) / number**2,
        sum([one.mean for one in practices]) / number,
        sum(spreads) / number**2,
        [total / number for total in sums],
        max([one.place for one in practices]),
        max([one.at for one in practices]),
    )


def _keys(
    learner: Learner,
    practices: list[Practice],
    tried: tuple[int, int, int, int] | None,
    *,
    same: bool,
    same_skills: bool,
) -> Keys:
    right = 0 if learner.last is None else learner.last[1]
    if len(practices) == 1:
        one = practices[0]
        count: int | tuple[int, ...] = min(one.wins + one.fails, MOST_COUNTED)
        last: int | tuple[int, ...] = one.last_four
    else:
        count = tuple([min(one.wins + one.fails, MOST_COUNTED) for one in practices])
        last = tuple([one.last_four for one in practices])
    before = 0 if tried is None else 2 | tried[0]
    run = (min(learner.run, 20) << 3 if same else 168) | right << 2 | before
    again = 0 if tried is None else min(tried[1], 4) << 1 | tried[0]
    return Keys((learner.last_skills, right), again, learner.last_five << 2 | same_skills << 1 | same, count, last, run)


def _effects(shared: Shared, learner: Learner, item: Item, group: Group, keys: Keys) -> list[float]:
    """How answers here have differed from what the first stage expected: each effect, shrunk, and its support."""
    effects = [0.0] * 8
    last = learner.last
    if last is not None:
        after, other = item.after.get(last), item.after.get((last[0], 1 - last[1]))
        effects = [
            *_shrunk(after),
            *_shrunk(after if other is None else other if after is None else [after[0] + other[0], after[1] + other[1]]),
            *_shrunk(group.after.get(keys.after_skills)),
            *_shrunk(item.after_two.get((learner.before_last, last))),
        ]
    effects += _shrunk(item.again.get(keys.again))
    effects += _shrunk(shared.by_history.get(keys.history))
    effects += _shrunk(group.by_count.get(keys.count))
    effects += _shrunk(group.by_last.get(keys.last))
    effects += _shrunk(group.by_run.get(keys.run))
    effects += _amid(item.amid, learner)
    return effects


def _shrunk(effect: Effect | None) -> tuple[float, float]:
    if effect is None:
        return 0.0, 0.0
    total, information = effect
    precision = information + SHRINKAGE
    return total / precision, information / precision


def _amid(known: Effects, learner: Learner) -> tuple[float, float]:
    """The effect of the last dozen answers before the last, taken as one."""
    total = information = 0.0
    if known:
        for moment in learner.recent:
            effect = known.get(moment)
            if effect is not None:
                total += effect[0]
                information += effect[1]
    precision = information + 2.0 * SHRINKAGE
    return total / precision, information / precision
