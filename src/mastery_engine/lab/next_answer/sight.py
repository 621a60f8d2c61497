"""Everything that is known just before an answer: the features, the first estimate, and where its residual belongs."""

from math import exp, log1p, sqrt
from typing import TypeAlias

from msgspec import Struct

from mastery_engine.lab.next_answer.shared import (
    NO_COMBINATION,
    NO_ITEM,
    NONE,
    SHRINK,
    Combination,
    Item,
    Shared,
)
from mastery_engine.lab.next_answer.student import (
    DAY,
    DRIFT,
    GENERAL_VARIANCE,
    HOUR,
    NEVER,
    NOTHING,
    Learner,
    SkillCounts,
    Skills,
)

PAUSE = 1_800.0  # seconds: a longer gap says nothing of the pace
LONG_AGO = 9_999
_HOUR, _DAY, _WEEK, _MONTH = (-0.6931471805599453 / life for life in (HOUR, DAY, 7 * DAY, 30 * DAY))

# Where this answer belongs in the tables: after the two last answers, again, lately, practised, skills lately, in a row.
Keys: TypeAlias = tuple[int, int, int, int, int, int]


class Sight(Struct, gc=False):
    """What is seen. ``first`` is the estimate from levels alone, ``variance`` that of its log-odds."""

    features: list[float]
    first: float
    variance: float
    general: float
    practised: list[SkillCounts]
    spreads: list[float]
    timed: tuple[float, ...]
    item: Item
    combination: Combination
    keys: Keys
    gap: float
    pace: float
    same_item: bool


def see(shared: Shared, learner: Learner, item_id: str, skills: Skills, at: float) -> Sight:
    """What is known before an answer at ``at``, in seconds."""
    gap, general, timed, pace, usual_pace = _time(learner, at)
    item = shared.items.get(item_id, NO_ITEM)
    combination = shared.combinations.get(skills, NO_COMBINATION)
    known_skills = learner.skills
    practised = [known_skills.get(name) or SkillCounts() for name in skills]
    spreads = [one.variance_at(at) for one in practised]
    usual, skill_level, spread, place, when, counts, practice, skills_lately = _skills(
        shared, skills, practised, spreads
    )
    mean, answers, last_right = learner.mean, learner.answers, learner.right_before
    difficulty, item_variance = item.difficulty, item.variance
    level = mean + skill_level + usual - difficulty
    variance = general + item_variance + spread
    same_item = item_id == learner.item_before and learner.before != NOTHING
    same_skills = skills == learner.skills_before
    known = learner.items.get(item_id)
    if known is None:
        last, attempts, right, since, again, tried = 0.5, 0, 0, LONG_AGO, 0, 0
    else:
        last, attempts, right = known.last, known.attempts, known.right
        since, again, tried = answers - known.place, min(attempts, 4) << 1 | last, 2 | last
    run = learner.run
    keys = (
        learner.before_that << 32 | learner.before,
        again,
        learner.last_five << 2 | same_skills << 1 | same_item,
        practice,
        skills_lately,
        (min(run, 20) << 3 if same_item else 168) | last_right << 2 | tried,
    )
    number = len(skills)
    features = [
        level,
        difficulty,
        item_variance,
        usual,
        mean,
        skill_level,
        *learner.decayed,
        *learner.credit,
        *timed,
        learner.right,
        learner.wrong,
        *counts,
        answers - place if place >= 0 else LONG_AGO,
        (at - when if at > when else 0.0) if place >= 0 else -NEVER,
        gap,
        last,
        attempts,
        right,
        since,
        run + 1 if same_item else 0,
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
    return Sight(
        features,
        first,
        variance,
        general,
        practised,
        spreads,
        timed,
        item,
        combination,
        keys,
        gap,
        pace,
        same_item,
    )


def _time(learner: Learner, at: float) -> tuple[float, float, tuple[float, ...], float, float]:
    """The gap, what it has done to the general variance and to the counts, the pace, and the usual pace."""
    if learner.before == NOTHING:
        return 0.0, learner.variance, learner.timed, 0.0, learner.pace
    gap = at - learner.at
    if gap < 0.0:
        gap = 0.0
    general = learner.variance + DRIFT * gap / DAY
    if general > GENERAL_VARIANCE:
        general = GENERAL_VARIANCE
    a, b, c, d, e, f, g, h = learner.timed
    hour, day, week, month = exp(_HOUR * gap), exp(_DAY * gap), exp(_WEEK * gap), exp(_MONTH * gap)
    timed = (a * hour, b * hour, c * day, d * day, e * week, f * week, g * month, h * month)
    if gap >= PAUSE:
        return gap, general, timed, 0.0, learner.pace
    pace = log1p(gap) - learner.usual_pace
    return gap, general, timed, pace, learner.pace * 0.9 + pace * 0.1


def _skills(
    shared: Shared, skills: Skills, practised: list[SkillCounts], spreads: list[float]
) -> tuple[float, float, float, int, float, tuple[float, ...], int, int]:
    """Of the skills together: usual level, level, variance of both, when last practised (answer, second), counts.

    Last come the keys of how much they were practised, and of how it went lately.
    """
    one = practised[0]
    usual, variance = shared.skill(skills[0])
    spread, level, place, when, lately = variance + spreads[0], one.mean, one.place, one.at, one.last_four
    right, wrong = one.right, one.wrong
    practice = min(right + wrong, 8)
    a, b, c, d, e, f = one.right_fast, one.wrong_fast, one.right_middle, one.wrong_middle, one.above, one.below
    number = len(skills)
    if number == 1:
        return usual, level, spread, place, when, (a, b, c, d, right, wrong, e, f), practice, lately
    for name, other, own in zip(skills[1:], practised[1:], spreads[1:], strict=True):
        more, variance = shared.skill(name)
        usual, level, spread = usual + more, level + other.mean, spread + variance + own
        place, when = max(place, other.place), max(when, other.at)
        practice = practice * 9 + min(other.right + other.wrong, 8)
        lately = lately << 5 | other.last_four
        right, wrong = right + other.right, wrong + other.wrong
        a, b, c, d = a + other.right_fast, b + other.wrong_fast, c + other.right_middle, d + other.wrong_middle
        e, f = e + other.above, f + other.below
    mean = tuple([count / number for count in (a, b, c, d, right, wrong, e, f)])
    return usual / number, level / number, spread / number**2, place, when, mean, practice, lately


def _add_effects(
    features: list[float], shared: Shared, learner: Learner, item: Item, combination: Combination, keys: Keys
) -> None:
    """How much better or worse it goes than the levels say, after what came before and with practice."""
    before = learner.before
    two, again, lately, practised, skills_lately, in_a_row = keys
    after = item.after
    one = after.get(before, NONE)
    for found in (
        one,
        one + after.get(before ^ 1, NONE),
        combination.after.get(learner.combined_before, NONE),
        item.after_two.get(two, NONE),
        item.again.get(again, NONE),
        shared.lately.get(lately, NONE),
        combination.practised.get(practised, NONE),
        combination.lately.get(skills_lately, NONE),
        combination.in_a_row.get(in_a_row, NONE),
    ):
        information = found.imag
        precision = information + SHRINK
        features += (found.real / precision, information / precision)
    total = NONE
    for known in map(item.after_any.get, learner.recent):
        if known is not None:
            total += known
    precision = total.imag + 2 * SHRINK
    features += (total.real / precision, total.imag / precision)
