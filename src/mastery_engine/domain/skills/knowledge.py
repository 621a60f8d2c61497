"""Knowledge tracing: how likely a student's next answer is right, by skill, online and in constant time.

A student has a general level and a level for each skill practised, in log-odds of a right answer to an item of unknown
difficulty. An answer moves both levels by a gain that depends on how many answers there were and how long ago, never
on whether they were right (Elo's rule with the gains of a Kalman filter: Glickman 1999, Pelánek 2016). So one more
right answer, or a right one in place of a wrong one, never lowers an estimate. The level of a skill is the part that
the general level predicts, plus what its own answers add: a skill with right answers only is never estimated below a
skill that was never tried.
"""

from collections.abc import Sequence
from math import sqrt

import msgspec

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY, Day, Micros
from mastery_engine.domain.skills.model import SkillModel

MAX_SKILLS = 1_000


class General(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The general level: ``mean`` and ``variance`` of the log-odds, and when the last answer came."""

    mean: float
    variance: float
    at: Micros


class SkillLevel(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The level on one skill; ``general`` is the general mean when the level was last updated."""

    mean: float
    variance: float
    at: Micros
    general: float
    answers: int


class KnowledgeState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The traced levels of one student; ``general`` is None before the first answer."""

    general: General | None = None
    skills: dict[str, SkillLevel] = {}

    def since(self, floor: Day) -> "KnowledgeState":
        """Without the skills last practised before the day ``floor``."""
        if self.general is None:
            return self
        if self.general.at // DAY < floor:
            return NO_KNOWLEDGE
        return KnowledgeState(self.general, {name: one for name, one in self.skills.items() if one.at // DAY >= floor})


NO_KNOWLEDGE = KnowledgeState()


class KnowledgeEstimate(msgspec.Struct, frozen=True, gc=False):
    """``probability`` is that of a right next answer, ``uncertainty`` the standard deviation of its log-odds.

    ``forgotten`` is how much the probability has sunk since the skill was last practised, at ``last_practised``.
    """

    probability: float
    uncertainty: float
    forgotten: float
    last_practised: Micros | None


def with_answer(knowledge: KnowledgeState, answer: Answer, at: Micros, model: SkillModel) -> KnowledgeState:
    """The knowledge after an answer, in the order of arrival; an answer from before the last one gets its time.

    An answer that was right to a fraction moves each level to that fraction of the way from where a wrong one would
    leave it to where a right one would. One without skills moves the general level.
    """
    known = knowledge.general
    difficulty = model.difficulty(answer.item_id, answer.difficulty, at)
    at = at if known is None else max(at, known.at)
    right = answer.fraction
    before = _general(known, at, model)
    expected = sum([model.offset(name) for name in answer.skills or ("",)]) / (len(answer.skills) or 1)
    gain, variance = _gain(before.variance, model.general_noise, model)
    chance = model.chance(before.mean + expected - difficulty)
    mean = before.mean + gain * (right - chance)
    shared = model.carry_over * gain
    most, least = shared * (1.0 - chance), -shared * chance
    skills = {**knowledge.skills}
    for name in dict.fromkeys(answer.skills):
        skill = skills.pop(name, None)
        level, spread, _ = _level(skill, name, before, at, model)
        gain, spread = _gain(spread, model.skill_noise, model)
        chance = model.chance(level - difficulty)
        level += right * max(gain * (1.0 - chance), most) + (1.0 - right) * min(-gain * chance, least)
        skills[name] = SkillLevel(level, spread, at, mean, 1 if skill is None else skill.answers + 1)
    while len(skills) > MAX_SKILLS:
        del skills[next(iter(skills))]
    return KnowledgeState(General(mean, variance, at), skills)


def estimate(knowledge: KnowledgeState, skill: str, at: Micros, model: SkillModel) -> KnowledgeEstimate:
    """The estimate for a skill at a moment, practised or not."""
    return estimates(knowledge, (skill,), at, model)[0]


def estimates(
    knowledge: KnowledgeState, names: Sequence[str], at: Micros, model: SkillModel
) -> list[KnowledgeEstimate]:
    """The estimates for several skills at a moment, in their order."""
    at = at if knowledge.general is None else max(at, knowledge.general.at)
    general = _general(knowledge.general, at, model)
    shared = model.carry_over**2 * general.variance
    found: list[KnowledgeEstimate] = []
    for name in names:
        known = knowledge.skills.get(name)
        level, variance, lost = _level(known, name, general, at, model)
        probability, uncertainty = model.chance(level), sqrt(variance + shared)
        if known is None:
            found.append(KnowledgeEstimate(probability, uncertainty, 0.0, None))
        else:
            forgotten = model.chance(level + lost) - probability if lost else 0.0
            found.append(KnowledgeEstimate(probability, uncertainty, forgotten, known.at))
    return found


def level_of(knowledge: KnowledgeState, skill: str, at: Micros, model: SkillModel) -> float:
    """The level on a skill at a moment, in log-odds of a right answer to an item of unknown difficulty."""
    at = at if knowledge.general is None else max(at, knowledge.general.at)
    level, _, _ = _level(knowledge.skills.get(skill), skill, _general(knowledge.general, at, model), at, model)
    return level


def _level(
    skill: SkillLevel | None, name: str, general: General, at: Micros, model: SkillModel
) -> tuple[float, float, float]:
    """Mean and variance of the level on a skill at a moment, and how much of the mean was forgotten.

    What the skill's own answers added above the general level halves in each half-life (Settles and Meeder 2016).
    """
    usual = model.offset(name)
    expected = usual + model.carry_over * general.mean
    if skill is None:
        return expected, model.skill_variance, 0.0
    away = (at - skill.at) / DAY
    own = skill.mean - usual - model.carry_over * skill.general
    left = own * 2.0 ** (-away / model.half_life_days) if own > 0.0 else own
    return expected + left, _unsure(skill.variance, model.skill_variance, away, model), own - left


def _general(known: General | None, at: Micros, model: SkillModel) -> General:
    """The general level at a moment: its variance grows with the days without answers."""
    if known is None:
        return General(0.0, model.general_variance, at)
    away = (at - known.at) / DAY
    return General(known.mean, _unsure(known.variance, model.general_variance, away, model), at)


def _unsure(variance: float, most: float, away: float, model: SkillModel) -> float:
    """A variance after days without answers: it rises towards ``most``, that of an unknown student."""
    left: float = 2.0 ** (-away / model.unsure_days)
    return most - (most - variance) * left


def _gain(variance: float, noise: float, model: SkillModel) -> tuple[float, float]:
    """The gain of an answer for a level of this variance, and the variance after it."""
    gain = variance / (1.0 + model.information * variance)
    return gain, gain + noise
