"""The model of the next answer: ``with_answer`` moves what is known of a student, ``chances`` says what comes next."""

from collections.abc import Sequence
from math import sqrt
from typing import Literal, TypeAlias

import msgspec
import numpy as np

from mastery_engine.domain.events.kinds import Answer, Difficulty
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.skills.next_answer.effects import Keys, keys_of
from mastery_engine.domain.skills.next_answer.features import PLACES, attempts_of, features_of
from mastery_engine.domain.skills.next_answer.head import Floats, logged
from mastery_engine.domain.skills.next_answer.levels import (
    NEW_SKILL,
    AnswerStanding,
    Elapsed,
    Known,
    SharedLevels,
    SkillsStanding,
    elapsed,
    item_level,
    second_of,
    skills_standing,
    standing,
)
from mastery_engine.domain.skills.next_answer.parameters import AnswerModel
from mastery_engine.domain.skills.next_answer.recall import FAST, MIDDLE, NO_MEMORY, Memory, state_of
from mastery_engine.domain.skills.next_answer.state import (
    GENERAL_VARIANCE,
    ITEM,
    ITEMS,
    LAST_DAY,
    RECENT,
    SKILL,
    SKILL_VARIANCE,
    SKILLS,
    AnswerState,
    Hash,
    Numbers,
    Pair,
    name_hash,
    packed,
    unpacked,
)

GENERAL_NOISE, SKILL_NOISE = 0.004, 0.01  # what learning adds with each answer, a share of what was learned
MOST_RUN, MOST_ATTEMPTS = 255, 127
AT_ONCE = 64  # answers, whose states stay in the processor's own cache
BRIEF = 0.5 ** (1 / 2)  # what is left of a count after an answer more, at a half-life of 2 answers

Basis: TypeAlias = Literal["item", "skills", "prior"]


class ItemAsked(msgspec.Struct, frozen=True):
    """An item that may be asked, its skills, and how hard its author says it is."""

    item_id: str
    skills: tuple[str, ...] = ()
    difficulty: Difficulty | None = None


class AnswerChance(msgspec.Struct, frozen=True):
    """How likely a right answer is. ``uncertainty`` is the standard error of the probability, in [0, 0.5].

    ``basis`` says what is known best: the item itself, its skills, or neither.
    """

    probability: float
    uncertainty: float
    basis: Basis


class NewAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer, and the student's packed state and knowledge state before it."""

    source: bytes
    answer: Answer
    at: Micros
    shared: SharedLevels
    memory: Memory = NO_MEMORY


def with_answer(source: bytes, answer: Answer, at: Micros, shared: SharedLevels, memory: Memory = NO_MEMORY) -> bytes:
    """The student's packed state after an answer; see ``with_answers``."""
    return with_answers([NewAnswer(source, answer, at, shared, memory)])[0]


def with_answers(new: Sequence[NewAnswer]) -> list[bytes]:
    """The packed states of students after an answer of each, in the order of arrival; an answer from before the last
    one gets its time. It takes the same time whatever was answered before.

    Each step runs over ``AT_ONCE`` of them before the next one, as the stages of a fold do.
    """
    return [state for start in range(0, len(new), AT_ONCE) for state in _after_each(new[start : start + AT_ONCE])]


def _after_each(new: Sequence[NewAnswer]) -> list[bytes]:
    states = [state_of(one.source, one.memory) for one in new]
    moments = [elapsed(state, one.at) for state, one in zip(states, new, strict=True)]
    skills = [
        skills_standing(state, now, one.answer.skills, one.shared, one.memory)
        for state, now, one in zip(states, moments, new, strict=True)
    ]
    known = [
        known_before(state, now, one.answer, its_skills, one.shared)
        for state, now, one, its_skills in zip(states, moments, new, skills, strict=True)
    ]
    return [after(before, one.answer.fraction) for before, one in zip(known, new, strict=True)]


def chances(
    source: bytes, asked: Sequence[ItemAsked], at: Micros, model: AnswerModel, memory: Memory = NO_MEMORY
) -> list[AnswerChance]:
    """How likely right answers to items are at a moment, in their order; a moment before the last answer counts as that
    one's. What items have in common is worked out once."""
    state = state_of(source, memory)
    now = elapsed(state, at)
    names = {one.skills for one in asked}
    skills = {one: skills_standing(state, now, one, model, memory) for one in names}
    bases = {one: _basis_of_skills(one, skills[one], now.at, model) for one in names}
    known = [known_before(state, now, one, skills[one.skills], model) for one in asked]
    found = probabilities(known, model)
    return [
        AnswerChance(
            probability,
            _error(probability, one.standing),
            "item" if _is_known(one, item, model) else bases[item.skills],
        )
        for probability, one, item in zip(found, known, asked, strict=True)
    ]


def last_answer(source: bytes) -> Micros | None:
    """When the last answer was given; None before the first one."""
    state = unpacked(source)
    return state.at if state.answers else None


def answers_since_right(source: bytes, item_ids: Sequence[str]) -> list[int | None]:
    """For each item how many answers ago it was answered, if that was right; None if it was not, or is forgotten."""
    state = unpacked(source)
    found = [attempts_of(state, name_hash(item_id)) for item_id in item_ids]
    return [ago if attempts and is_right else None for attempts, is_right, ago in found]


def known_before(
    state: AnswerState, now: Elapsed, asked: ItemAsked | Answer, skills: SkillsStanding, shared: SharedLevels
) -> Known:
    """What is known before an answer at the moment of ``now``, by what levels say of the item's skills then."""
    item = item_level(shared, asked.item_id, asked.difficulty, now.at)
    return Known(state, now, standing(state, now, item, skills), name_hash(asked.item_id))


def probabilities(known: Sequence[Known], model: AnswerModel) -> list[float]:
    """The probabilities of right answers, of one student or of several."""
    if not known:
        return []
    rows, keys = seen(known)
    logits = np.clip(model.head.logits(with_effects(rows, keys, model)), -30.0, 30.0).astype(np.float64)
    found: list[float] = (1.0 / (1.0 + np.exp(-logits))).tolist()
    return found


def seen(known: Sequence[Known]) -> tuple[Floats, Keys]:
    """The features of answers that no effect is part of, and the keys of the effects."""
    rows, parts = features_of(known)
    return rows, keys_of(parts)


def with_effects(rows: Floats, keys: Keys, model: AnswerModel) -> Floats:
    """All features, as the head takes them."""
    return logged(np.column_stack([rows, model.effects.features(keys).astype(np.float32)]))


def after(known: Known, right: float) -> bytes:
    """The packed state after an answer, right to a fraction in [0, 1].

    It moves by the fraction: after 0.5 every level and every count is halfway between those after a right answer and
    those after a wrong one. What counts results as such takes 0.5 and more as right.
    """
    state, now, stands, item = known.state, known.now, known.standing, known.item
    first, answers, is_right = stands.first, state.answers, int(right >= 0.5)
    residual, weight = right - first, first * (1.0 - first)
    scale = 1.0 + weight * stands.variance
    surprise, information = residual / scale, weight / scale
    traits, variances = state.traits, state.trait_variances
    if stands.shift_variance > 0.0:
        traits, variances = moved_traits(
            traits, variances, stands.item.loadings, residual - weight * stands.shift, weight, stands.shift_variance
        )
    skills, skill_records = _with_skills(known, right, surprise, information)
    items, item_records = _with_item(known, is_right)
    same_item = bool(state.recent) and item == state.recent[-1] & ~1
    return packed(
        AnswerState(
            now.at,
            answers + 1,
            state.right + right,
            state.mean + now.general * surprise,
            _surer(now.general, information, GENERAL_NOISE, GENERAL_VARIANCE),
            traits,
            variances,
            _faded(state.faded, right, first),
            now.timed,
            now.quick,
            now.pace,
            now.pace_before,
            stands.item.pace,
            right,
            min(state.run + 1, MOST_RUN) if same_item else 0,
            _results(state.last_five, is_right, 5),
            stands.skills.combined | is_right,
            (*state.recent, item | is_right)[-RECENT:],
            items,
            item_records,
            skills,
            skill_records,
        )
    )


def moved_traits(
    traits: Pair, variances: Pair, loadings: Pair, unexplained: float, information: float, variance: float
) -> tuple[Pair, Pair]:
    """Traits and variances after an answer; ``variance`` is that of what the traits add to its log-odds.

    A Kalman filter that keeps of the traits' covariance the variances alone.
    """
    (m, n), (v, w), (a, b) = traits, variances, loadings
    scale = 1.0 + information * variance
    surprise, firm = unexplained / scale, information / scale
    a, b = a * v, b * w
    return (m + a * surprise, n + b * surprise), (v - a * a * firm, w - b * b * firm)


def _with_skills(known: Known, right: float, surprise: float, information: float) -> tuple[tuple[Hash, ...], bytes]:
    """The skills with those of the answer as the last ones, and their records.

    The counts of a record are right and wrong at half-lives of 1 and 8 answers, right and wrong in all, above and below
    expectation. What was above expectation is never less for a right answer, nor what was below for a wrong one.
    """
    state, first, practised = known.state, known.standing.first, known.standing.skills.practised
    second, place, is_right = second_of(known.now.at), state.answers, int(right >= 0.5)
    names, records, number = state.skills, state.skill_records, len(practised)
    wrong = 1.0 - right
    for one in practised:
        level, _, _, _, results, a, b, c, d, e, f, above, below = one.record
        variance = one.variance
        record = SKILL.pack(
            level + variance / number * surprise,
            _surer(variance, information / number**2, SKILL_NOISE, SKILL_VARIANCE),
            second,
            place,
            _results(results, is_right, 4),
            a * FAST + right,
            b * FAST + wrong,
            c * MIDDLE + right,
            d * MIDDLE + wrong,
            e + right,
            f + wrong,
            _beyond(above, MIDDLE, right, 1.0 - first),
            _beyond(below, MIDDLE, wrong, first),
        )
        names, records = _last(names, records, SKILL.size, one.name, record, SKILLS)
    return names, records


def _with_item(known: Known, is_right: int) -> tuple[tuple[Hash, ...], bytes]:
    """The items with that of the answer as the last one, and their records."""
    state, item = known.state, known.item
    attempts, _, _ = attempts_of(state, item)
    day = min(max(known.now.at // DAY, 0), LAST_DAY)
    record = ITEM.pack(min(attempts + 1, MOST_ATTEMPTS) << 1 | is_right, day, state.answers % PLACES)
    return _last(state.items, state.item_records, ITEM.size, item, record, ITEMS)


def _last(
    names: tuple[Hash, ...], records: bytes, size: int, name: Hash, record: bytes, most: int
) -> tuple[tuple[Hash, ...], bytes]:
    """The names with this one and its record as the last; the first one gives way where there are too many."""
    if name in names:
        place = names.index(name)
        names, records = names[:place] + names[place + 1 :], records[: place * size] + records[(place + 1) * size :]
    elif len(names) >= most:
        names, records = names[1:], records[size:]
    return (*names, name), records + record


def _surer(variance: float, information: float, noise: float, most: float) -> float:
    """The variance after an answer; learning adds a share of what it has lost."""
    left = variance - variance * variance * information
    left += noise * (most - left)
    if left > variance:
        return variance
    return left


def _results(before: int, is_right: int, most: int) -> int:
    """The last results, ``most`` of them, as bits under a leading 1."""
    full, more = 1 << most, before << 1 | is_right
    return more if more < 2 * full else more % full + full


def _faded(counts: Numbers, right: float, first: float) -> Numbers:
    """The counts of a student after an answer, as those of a skill are made."""
    a, b, c, d, brief_above, brief_below, above, below = counts
    wrong = 1.0 - right
    return (
        a * FAST + right,
        b * FAST + wrong,
        c * MIDDLE + right,
        d * MIDDLE + wrong,
        _beyond(brief_above, BRIEF, right, 1.0 - first),
        _beyond(brief_below, BRIEF, wrong, first),
        _beyond(above, MIDDLE, right, 1.0 - first),
        _beyond(below, MIDDLE, wrong, first),
    )


def _beyond(sum_before: float, fading: float, share: float, surprise: float) -> float:
    """What went beyond expectation, after an answer that did so to a share, by ``surprise`` where it is 1."""
    left = sum_before * fading
    lost = sum_before - left
    if lost < surprise:
        lost = surprise
    return left + share * lost


def _error(probability: float, stands: AnswerStanding) -> float:
    """The standard error of a probability: of its log-odds, by the delta method."""
    return min(0.5, probability * (1.0 - probability) * sqrt(stands.variance + stands.shift_variance))


def _is_known(known: Known, asked: ItemAsked, model: AnswerModel) -> bool:
    return known.item in known.state.items or model.item(asked.item_id, known.now.at) is not None


def _basis_of_skills(names: tuple[str, ...], skills: SkillsStanding, at: Micros, model: AnswerModel) -> Basis:
    practised = any(one.record is not NEW_SKILL for one in skills.practised)
    return "skills" if practised or any(model.knows_skill(name, at) for name in names) else "prior"
