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
    SkillCounts,
    Skills,
    StudentState,
)

PAUSE = 1_800.0  # seconds: a longer gap says nothing of the pace
LONG_AGO = 9_999
QUICK = -1.0  # a pace below this, in log1p(seconds): less than two fifths of the usual time
_HOUR, _DAY, _MONTH = (-0.6931471805599453 / life for life in (HOUR, DAY, 30 * DAY))

# Where this answer belongs: after the two last answers, again, lately, practised, skills lately, in a row.
Keys: TypeAlias = tuple[int, int, int, int, int, int]


class AnswerFeatures(Struct, gc=False):
    """What is seen. ``first`` is the estimate from levels alone, ``variance`` that of its log-odds.

    ``inputs`` are the head's, in the order of ``FEATURES``. ``practised`` has the skills, each with its variance now;
    ``shift`` is what the traits add to the log-odds.
    """

    inputs: list[float]
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


def see(shared: Shared, student: StudentState, item_id: str, skills: Skills, at: float) -> AnswerFeatures:
    """What is known before an answer at ``at``, in seconds."""
    gap, general, timed, pace, paces, quick = _time(student, at)
    item = shared.items.get(item_id, NO_ITEM)
    combination = shared.combinations.get(skills, NO_COMBINATION)
    practised, usual, skill_level, spread, place, when, counts, practice, lately = _skills(shared, student, skills, at)
    mean, answers, last_right, right = student.mean, student.answers, student.right_before, student.right
    before, run = student.before, student.run
    difficulty, item_variance = item.difficulty, item.variance
    level = mean + skill_level + usual - difficulty
    variance = general + item_variance + spread
    same_item = item_id == student.item_before and before != NOTHING
    same_skills = skills == student.skills_before
    known = student.items.get(item_id)
    if known is None:
        last, attempts, since, again, tried = 0.5, 0, LONG_AGO, 0, 0
    else:
        last, attempts, since = known.last, known.attempts, answers - known.place
        again, tried = min(attempts, 4) << 1 | last, 2 | last
    two = student.before_that << 32 | before
    all_lately = student.last_five << 2 | same_skills << 1 | same_item
    in_a_row = (min(run, 20) << 3 if same_item else 168) | last_right << 2 | tried
    keys = (two, again, all_lately, practice, lately, in_a_row)
    shift, shift_variance = _traits(item, student)
    inputs = [
        level,
        difficulty,
        item_variance,
        usual,
        mean,
        skill_level,
        *student.faded,
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
        student.pace_before,
        paces,
        shift,
        shift_variance,
        *_effects(shared, student, item, combination, keys),
    ]
    first = 1.0 / (1.0 + exp(-max(-30.0, level / sqrt(1.0 + 0.35 * variance))))
    return AnswerFeatures(
        inputs,
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


def _time(student: StudentState, at: float) -> tuple[float, float, Counts, float, float, Counts]:
    """The gap, what it has done to the general variance and to the counts, the pace, the student's usual one, and how
    many answers were quick."""
    if student.before == NOTHING:
        return 0.0, student.variance, student.timed, 0.0, student.pace, student.quick
    gap = at - student.at
    if gap < 0.0:
        gap = 0.0
    general = student.variance + DRIFT * gap / DAY
    if general > GENERAL_VARIANCE:
        general = GENERAL_VARIANCE
    a, b, c, d, e, f = student.timed
    right = student.right_before
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
        return gap, general, timed, 0.0, student.pace, student.quick
    pace = log1p(gap) - student.usual_pace
    quick_right, quick_wrong = student.quick
    quick_right, quick_wrong = quick_right * SHORT, quick_wrong * SHORT
    if pace < QUICK:
        quick_right, quick_wrong = quick_right + right, quick_wrong + wrong
    return gap, general, timed, pace, student.pace * 0.9 + pace * 0.1, (quick_right, quick_wrong)


def _skills(
    shared: Shared, student: StudentState, skills: Skills, at: float
) -> tuple[list[tuple[str, SkillCounts, float]], float, float, float, int, float, Counts, int, int]:
    """The skills, each with its variance; then of them together: usual level, level, variance of both, when last
    practised (answer, second), counts, and the keys of how much they were practised and of how it went lately."""
    name = skills[0]
    skill = student.skills.get(name) or SkillCounts()
    own = skill.variance_at(at)
    usual, variance = shared.skills.get(name) or shared.new_skill()
    practised = [(name, skill, own)]
    level, spread, counts = skill.mean, variance + own, skill.counts
    place, when, lately = skill.place, skill.at, skill.last_four
    practice = _practice(counts)
    number = len(skills)
    if number == 1:
        return practised, usual, level, spread, place, when, counts, practice, lately
    a, b, c, d, e, f, g, h = counts
    for name in skills[1:]:
        skill = student.skills.get(name) or SkillCounts()
        own = skill.variance_at(at)
        practised.append((name, skill, own))
        more, variance = shared.skills.get(name) or shared.new_skill()
        usual, level, spread = usual + more, level + skill.mean, spread + variance + own
        place, when = max(place, skill.place), max(when, skill.at)
        practice, lately = practice * 9 + _practice(skill.counts), lately << 5 | skill.last_four
        i, j, k, q, m, n, o, p = skill.counts
        a, b, c, d, e, f, g, h = a + i, b + j, c + k, d + q, e + m, f + n, g + o, h + p
    part = 1.0 / number
    counts = (a * part, b * part, c * part, d * part, e * part, f * part, g * part, h * part)
    return practised, usual * part, level * part, spread * part * part, place, when, counts, practice, lately


def _practice(counts: Counts) -> int:
    """How often a skill was practised, up to 8 times."""
    answers = counts[4] + counts[5]
    return int(answers) if answers < 8.0 else 8


def _effects(shared: Shared, student: StudentState, item: Item, combination: Combination, keys: Keys) -> list[float]:
    """The effects that belong here, each with its support, in the order of the features."""
    before = student.before
    two, again, all_lately, practice, lately, in_a_row = keys
    return [
        *item.after.get(before, NONE),
        *item.after_item.get(before >> 1, NONE),
        *combination.after.get(student.combined_before, NONE),
        *item.after_two.get(two, NONE),
        *item.again.get(again, NONE),
        *shared.lately.get(all_lately, NONE),
        *combination.practised.get(practice, NONE),
        *combination.lately.get(lately, NONE),
        *combination.in_a_row.get(in_a_row, NONE),
        *_after_any(item, student),
    ]


def _traits(item: Item, student: StudentState) -> tuple[float, float]:
    """What the student's traits add to the log-odds of this item, and its variance."""
    (a, b), (m, n), (v, w) = item.loadings, student.traits, student.trait_variances
    return a * m + b * n, a * a * v + b * b * w


def _after_any(item: Item, student: StudentState) -> tuple[float, float]:
    """How much better or worse it goes than the levels say, after those answers before the last one together."""
    total = sum(filter(None, map(item.after_any.get, student.recent)), 0j)
    precision = total.imag + 2 * SHRINK
    return total.real / precision, total.imag / precision
