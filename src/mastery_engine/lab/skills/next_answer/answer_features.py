"""Everything that is known just before an answer: the features, the first estimate, and where its residual belongs."""

from math import exp, log1p, sqrt
from typing import TypeAlias

from msgspec import Struct

from mastery_engine.lab.skills.next_answer.shared import (
    NO_COMBINATION,
    NO_ITEM,
    NONE,
    SHRINK,
    Combination,
    Item,
    Shared,
)
from mastery_engine.lab.skills.next_answer.student import (
    DAY,
    DRIFT,
    GENERAL_VARIANCE,
    HOUR,
    NEVER,
    NOTHING,
    SHORT,
    Counts,
    Learner,
    SkillCounts,
    Skills,
)

PAUSE = 1_800.0  # seconds: a longer gap says nothing of the pace
LONG_AGO = 9_999
QUICK = -1.0  # a pace below this, in log1p(seconds): less than two fifths of the usual time
_HOUR, _DAY, _MONTH = (-0.6931471805599453 / life for life in (HOUR, DAY, 30 * DAY))

# Where this answer belongs: after the two last answers, again, lately, practised, skills lately, in a row.
Keys: TypeAlias = tuple[int, int, int, int, int, int]


class Sight(Struct, gc=False):
    """What is seen. ``first`` is the estimate from levels alone, ``variance`` that of its log-odds.

    ``practised`` has the skills, each with its variance now; ``shift`` is what the traits add to the log-odds.
    """

    features: list[float]
    first: float
    variance: float
    general: float
    practised: list[tuple[str, SkillCounts, float]]
    shift: float
    shift_variance: float
    timed: Counts
    quick: Counts
    item: Item
    combination: Combination
    keys: Keys
    gap: float
    pace: float
    paces: float
    same_item: bool


def see(shared: Shared, learner: Learner, item_id: str, skills: Skills, at: float) -> Sight:
    """What is known before an answer at ``at``, in seconds."""
    gap, general, timed, pace, paces, quick = _time(learner, at)
    item = shared.items.get(item_id, NO_ITEM)
    combination = shared.combinations.get(skills, NO_COMBINATION)
    practised, usual, skill_level, spread, place, when, counts, practice, lately = _skills(shared, learner, skills, at)
    mean, answers, last_right, right = learner.mean, learner.answers, learner.right_before, learner.right
    before, run = learner.before, learner.run
    difficulty, item_variance = item.difficulty, item.variance
    level = mean + skill_level + usual - difficulty
    variance = general + item_variance + spread
    same_item = item_id == learner.item_before and before != NOTHING
    same_skills = skills == learner.skills_before
    known = learner.items.get(item_id)
    if known is None:
        last, attempts, since, again, tried = 0.5, 0, LONG_AGO, 0, 0
    else:
        last, attempts, since = known.last, known.attempts, answers - known.place
        again, tried = min(attempts, 4) << 1 | last, 2 | last
    two = learner.before_that << 32 | before
    all_lately = learner.last_five << 2 | same_skills << 1 | same_item
    in_a_row = (min(run, 20) << 3 if same_item else 168) | last_right << 2 | tried
    keys = (two, again, all_lately, practice, lately, in_a_row)
    shift, shift_variance = _traits(item, learner)
    features = [
        level,
        difficulty,
        item_variance,
        usual,
        mean,
        skill_level,
        *learner.faded,
        *timed,
        right,
        answers - right,
        *quick,
        *counts,
        answers - place if place >= 0 else LONG_AGO,
        (at - when if at > when else 0.0) if place >= 0 else -NEVER,
        gap,
        last,
        attempts,
        since,
        run + 1 if same_item else 0,
        same_skills,
        same_item,
        last_right,
        len(skills),
        pace,
        pace * last_right,
        learner.pace_before,
        paces,
        shift,
        shift_variance,
        *_effects(shared, learner, item, combination, keys),
    ]
    first = 1.0 / (1.0 + exp(-max(-30.0, level / sqrt(1.0 + 0.35 * variance))))
    return Sight(
        features,
        first,
        variance,
        general,
        practised,
        shift,
        shift_variance,
        timed,
        quick,
        item,
        combination,
        keys,
        gap,
        pace,
        paces,
        same_item,
    )


def _time(learner: Learner, at: float) -> tuple[float, float, Counts, float, float, Counts]:
    """The gap, what it has done to the general variance and to the counts, the pace, the student's usual one, and how
    many answers were quick."""
    if learner.before == NOTHING:
        return 0.0, learner.variance, learner.timed, 0.0, learner.pace, learner.quick
    gap = at - learner.at
    if gap < 0.0:
        gap = 0.0
    general = learner.variance + DRIFT * gap / DAY
    if general > GENERAL_VARIANCE:
        general = GENERAL_VARIANCE
    a, b, c, d, e, f = learner.timed
    right = learner.right_before
    wrong = 1 - right
    hour, day, month = exp(_HOUR * gap), exp(_DAY * gap), exp(_MONTH * gap)
    timed = (
        (a + right) * hour,
        (b + wrong) * hour,
        (c + right) * day,
        (d + wrong) * day,
        (e + right) * month,
        (f + wrong) * month,
    )
    if gap >= PAUSE:
        return gap, general, timed, 0.0, learner.pace, learner.quick
    pace = log1p(gap) - learner.usual_pace
    quick_right, quick_wrong = learner.quick
    quick_right, quick_wrong = quick_right * SHORT, quick_wrong * SHORT
    if pace < QUICK:
        quick_right, quick_wrong = quick_right + right, quick_wrong + wrong
    return gap, general, timed, pace, learner.pace * 0.9 + pace * 0.1, (quick_right, quick_wrong)


def _skills(
    shared: Shared, learner: Learner, skills: Skills, at: float
) -> tuple[list[tuple[str, SkillCounts, float]], float, float, float, int, float, Counts, int, int]:
    """The skills, each with its variance; then of them together: usual level, level, variance of both, when last
    practised (answer, second), counts, and the keys of how much they were practised and of how it went lately."""
    name = skills[0]
    one = learner.skills.get(name) or SkillCounts()
    own = one.variance_at(at)
    usual, variance = shared.skills.get(name) or shared.new_skill()
    practised = [(name, one, own)]
    level, spread, place, when, lately, counts = one.mean, variance + own, one.place, one.at, one.last_four, one.counts
    practice = _practice(counts)
    number = len(skills)
    if number == 1:
        return practised, usual, level, spread, place, when, counts, practice, lately
    a, b, c, d, e, f, g, h = counts
    for name in skills[1:]:
        one = learner.skills.get(name) or SkillCounts()
        own = one.variance_at(at)
        practised.append((name, one, own))
        more, variance = shared.skills.get(name) or shared.new_skill()
        usual, level, spread = usual + more, level + one.mean, spread + variance + own
        place, when = max(place, one.place), max(when, one.at)
        practice, lately = practice * 9 + _practice(one.counts), lately << 5 | one.last_four
        i, j, k, q, m, n, o, p = one.counts
        a, b, c, d, e, f, g, h = a + i, b + j, c + k, d + q, e + m, f + n, g + o, h + p
    part = 1.0 / number
    counts = (a * part, b * part, c * part, d * part, e * part, f * part, g * part, h * part)
    return practised, usual * part, level * part, spread * part * part, place, when, counts, practice, lately


def _practice(counts: Counts) -> int:
    """How often a skill was practised, up to 8 times."""
    answers = counts[4] + counts[5]
    return int(answers) if answers < 8.0 else 8


def _effects(shared: Shared, learner: Learner, item: Item, combination: Combination, keys: Keys) -> list[float]:
    """The effects that belong here, each with its support, in the order of the features."""
    before = learner.before
    two, again, all_lately, practice, lately, in_a_row = keys
    return [
        *item.after.get(before, NONE),
        *item.after_item.get(before >> 1, NONE),
        *combination.after.get(learner.combined_before, NONE),
        *item.after_two.get(two, NONE),
        *item.again.get(again, NONE),
        *shared.lately.get(all_lately, NONE),
        *combination.practised.get(practice, NONE),
        *combination.lately.get(lately, NONE),
        *combination.in_a_row.get(in_a_row, NONE),
        *_after_any(item, learner),
    ]


def _traits(item: Item, learner: Learner) -> tuple[float, float]:
    """What the student's traits add to the log-odds of this item, and its variance."""
    (a, b), (m, n), (v, w) = item.loadings, learner.traits, learner.trait_variances
    return a * m + b * n, a * a * v + b * b * w


def _after_any(item: Item, learner: Learner) -> tuple[float, float]:
    """How much better or worse it goes than the levels say, after those answers before the last one together."""
    total = sum(filter(None, map(item.after_any.get, learner.recent)), 0j)
    precision = total.imag + 2 * SHRINK
    return total.real / precision, total.imag / precision
