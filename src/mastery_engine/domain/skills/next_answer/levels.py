"""What is known just before an answer, by levels alone: the student's, the item's, and how students usually do.

A Kalman filter in the log-odds of a right answer (Glickman 1999; Pelánek 2016): the general level, that of each skill
and the traits share what was unexpected of an answer, each by its variance. How students differ beside their levels are
two traits each, of which every item asks more or less: item response theory in several dimensions (Reckase 2009).
"""

from math import exp, log1p, sqrt
from typing import Protocol

from msgspec import Struct

from mastery_engine.domain.events.kinds import Difficulty
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.domain.skills.next_answer.recall import Memory, recalled
from mastery_engine.domain.skills.next_answer.state import (
    DAY_S,
    GENERAL_VARIANCE,
    LATEST_SECOND,
    SKILL,
    SKILL_VARIANCE,
    AnswerState,
    Hash,
    Numbers,
    Pair,
    SkillRecord,
    combined_hash,
    name_hash,
)

ITEM_VARIANCE, USUAL_VARIANCE, USUAL = 1.0, 0.5, 0.8  # of items, and of skills among students, before any answer
DRIFT = 0.02  # the variance that a day away adds
HARDER = 0.4  # the step from items for beginners to intermediate ones, and from those to advanced ones
PAUSE = 1_800.0  # seconds: a longer gap says nothing of the pace
QUICK = -1.0  # a pace below this, in log1p(seconds): less than two fifths of the usual time
SHORT = 0.5 ** (1 / 3)  # what is left of a count after an answer more, at a half-life of 3 answers
_HOUR, _DAY, _MONTH = (-0.6931471805599453 / seconds for seconds in (3_600.0, 86_400.0, 30 * 86_400.0))

NEW_SKILL: SkillRecord = (0.0, SKILL_VARIANCE, 0, 0, 1, *(0.0,) * 8)


class ItemLevel(Struct, frozen=True, array_like=True, gc=False):
    """An item: its difficulty in log-odds with its variance, the mean of log1p(seconds) until the next answer and how
    many that mean is of (the prior is worth two), and how much it asks of the two traits."""

    difficulty: float = 0.0
    variance: float = ITEM_VARIANCE
    pace: float = 4.0
    paces: float = 2.0
    loadings: Pair = (0.0, 0.0)


UNKNOWN_ITEM = ItemLevel()
_SAID: dict[Difficulty | None, ItemLevel] = {
    "beginner": ItemLevel(-HARDER),
    "intermediate": UNKNOWN_ITEM,
    "advanced": ItemLevel(HARDER),
    None: UNKNOWN_ITEM,
}


class SharedLevels(Protocol):
    """What all students share of levels, as it counts for answers at a moment."""

    def item(self, item_id: str, at: Micros) -> ItemLevel | None:
        """The item, None if nothing is known of it."""
        ...

    def skill(self, name: str, at: Micros) -> tuple[float, float]:
        """The usual level on a skill and its variance."""
        ...


class Elapsed(Struct, frozen=True, gc=False):
    """What the time since the last answer, ``gap`` in seconds, has made of the general variance and of what fades."""

    at: Micros
    gap: float
    general: float
    timed: Numbers
    pace_before: float
    pace: float
    quick: Pair


class Practised(Struct, frozen=True, gc=False):
    """A skill of the item: its variance by now, and its record: ``NEW_SKILL`` where it was never tried."""

    name: Hash
    variance: float
    record: SkillRecord


class SkillsStanding(Struct, frozen=True, gc=False):
    """What levels say of the skills that an item combines, whatever the item: ``combined`` is their hash, 0 of none.

    ``usual`` is the usual level and ``level`` the student's own beside it, the means where there are several skills;
    ``spread`` is the variance of both.
    """

    combined: Hash
    practised: list[Practised]
    usual: float
    level: float
    spread: float


class AnswerStanding(Struct, frozen=True, gc=False):
    """What levels say of an answer.

    ``first`` is the estimate and ``logit`` its log-odds, drawn towards 0 by what is not known; ``level`` are the
    log-odds at the levels themselves, and ``variance`` is theirs.

    ``shift`` is what the traits add to the log-odds.
    """

    item: ItemLevel
    skills: SkillsStanding
    first: float
    logit: float
    level: float
    variance: float
    shift: float
    shift_variance: float


class Known(Struct, frozen=True, gc=False):
    """What is known just before an answer to an item."""

    state: AnswerState
    now: Elapsed
    standing: AnswerStanding
    item: Hash


def item_level(shared: SharedLevels, item_id: str, said: Difficulty | None, at: Micros) -> ItemLevel:
    """The item as it counts for answers at a moment: as it was learned, or else as its author says."""
    return shared.item(item_id, at) or _SAID[said]


def elapsed(state: AnswerState, at: Micros) -> Elapsed:
    """What time has done up to a moment; one before the last answer counts as that one's."""
    if not state.answers:
        return Elapsed(at, 0.0, state.variance, state.timed, 0.0, state.pace, state.quick)
    at = max(at, state.at)
    gap = (at - state.at) / SECOND
    general = state.variance + DRIFT * gap / DAY_S
    if general > GENERAL_VARIANCE:
        general = GENERAL_VARIANCE
    a, b, c, d, e, f = state.timed
    right = state.right_before
    wrong = 1.0 - right
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
        return Elapsed(at, gap, general, timed, 0.0, state.pace, state.quick)
    pace = log1p(gap) - state.usual_pace
    quick_right, quick_wrong = state.quick
    quick_right, quick_wrong = quick_right * SHORT, quick_wrong * SHORT
    if pace < QUICK:
        quick_right, quick_wrong = quick_right + right, quick_wrong + wrong
    return Elapsed(at, gap, general, timed, pace, state.pace * 0.9 + pace * 0.1, (quick_right, quick_wrong))


def skills_standing(
    state: AnswerState, now: Elapsed, skills: tuple[str, ...], shared: SharedLevels, memory: Memory
) -> SkillsStanding:
    """What levels say of skills, of which a name may come twice and counts once; there may be none."""
    if not skills:
        return SkillsStanding(0, [], USUAL, 0.0, USUAL_VARIANCE + SKILL_VARIANCE)
    if len(skills) > 1:
        skills = tuple(dict.fromkeys(skills))
    at, known, older = now.at, state.skills, memory.knowledge.skills
    second = second_of(at)
    practised: list[Practised] = []
    usual = level = spread = 0.0
    for name in skills:
        hashed = name_hash(name)
        often, its_variance = shared.skill(name, at)
        if hashed in known:
            record = SKILL.unpack_from(state.skill_records, known.index(hashed) * SKILL.size)
        elif name in older:
            record = recalled(name, memory, SKILL.unpack_from(state.skill_records)[3] if known else 0)
        else:
            record = NEW_SKILL
        own = SKILL_VARIANCE
        if record is not NEW_SKILL:
            own = record[1] + DRIFT * (second - record[2]) / DAY_S
            if own > SKILL_VARIANCE:
                own = SKILL_VARIANCE
            level += record[0]
        practised.append(Practised(hashed, own, record))
        usual, spread = usual + often, spread + its_variance + own
    number = len(practised)
    if number > 1:
        part = 1.0 / number
        usual, level, spread = usual * part, level * part, spread * part * part
    return SkillsStanding(combined_hash(skills), practised, usual, level, spread)


def standing(state: AnswerState, now: Elapsed, item: ItemLevel, skills: SkillsStanding) -> AnswerStanding:
    """What levels say of an answer to an item of these skills."""
    whole = state.mean + skills.level + skills.usual - item.difficulty
    variance = now.general + item.variance + skills.spread
    logit = whole / sqrt(1.0 + 0.35 * variance)
    if not -30.0 <= logit <= 30.0:
        logit = -30.0 if logit < 0.0 else 30.0
    first = 1.0 / (1.0 + exp(-logit))
    (a, b), (m, n), (v, w) = item.loadings, state.traits, state.trait_variances
    return AnswerStanding(item, skills, first, logit, whole, variance, a * m + b * n, a * a * v + b * b * w)


def second_of(at: Micros) -> int:
    """The second of a moment, as a state holds it."""
    second = at // SECOND
    return second if 0 <= second <= LATEST_SECOND else 0 if second < 0 else LATEST_SECOND
