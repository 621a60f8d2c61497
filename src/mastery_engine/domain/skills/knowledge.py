"""Knowledge tracing: how likely a student's next answer is right, by skill, online and in constant time.

A student has a general level and one for each skill practised, in log-odds of a right answer to an item of no known
difficulty. An answer moves both towards what it says, by a gain that depends on how many answers there were and how
long ago, never on what they said (Elo's rule with the gains of a Kalman filter: Glickman 1999, Pelánek 2016). So one
more right answer, or a right one in the place of a wrong one, lowers no estimate then. A skill is what the general
level lets expect and what its own answers add: with right ones alone it is never below one that was never tried.
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


class Skill(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The level on one skill; ``general`` is the general mean that it knows of."""

    mean: float
    variance: float
    at: Micros
    general: float
    answers: int


class Tracing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is traced of one student; ``general`` is None before the first answer."""

    general: General | None = None
    skills: dict[str, Skill] = {}

    def since(self, floor: Day) -> "Tracing":
        """Without what was last practised before a day."""
        if self.general is None:
            return self
        if self.general.at // DAY < floor:
            return NOT_TRACED
        return Tracing(self.general, {name: one for name, one in self.skills.items() if one.at // DAY >= floor})


NOT_TRACED = Tracing()


class SkillEstimate(msgspec.Struct, frozen=True, gc=False):
    """``probability`` of a right next answer; ``uncertainty`` is the standard deviation of its log-odds.

    ``forgotten`` is by how much the probability has sunk since the skill was last practised, at ``last_practised``.
    """

    probability: float
    uncertainty: float
    forgotten: float
    last_practised: Micros | None


def traced(tracing: Tracing, answer: Answer, at: Micros, model: SkillModel) -> Tracing:
    """The tracing after an answer, in the order of arrival; an answer timed before the last one counts as at that."""
    known = tracing.general
    difficulty = model.difficulty(answer.item_id, answer.difficulty, at)
    at = at if known is None else max(at, known.at)
    right = float(answer.correct)
    before = _general(known, at, model)
    expected = sum([model.offset(name) for name in answer.skills]) / len(answer.skills)
    gain, variance = _gain(before.variance, model.general_noise, model)
    mean = before.mean + gain * (right - model.chance(before.mean + expected - difficulty))
    skills = {**tracing.skills}
    for name in dict.fromkeys(answer.skills):
        skill = skills.pop(name, None)
        level, spread, _ = _level(skill, name, before, at, model)
        gain, spread = _gain(spread, model.skill_noise, model)
        own = gain * (right - model.chance(level - difficulty))
        shared = model.carry_over * (mean - before.mean)
        level += max(own, shared) if answer.correct else min(own, shared)
        skills[name] = Skill(level, spread, at, mean, 1 if skill is None else skill.answers + 1)
    while len(skills) > MAX_SKILLS:
        del skills[next(iter(skills))]
    return Tracing(General(mean, variance, at), skills)


def estimate(tracing: Tracing, skill: str, at: Micros, model: SkillModel) -> SkillEstimate:
    """The estimate for a skill at a moment, whether it was practised or not."""
    return estimates(tracing, (skill,), at, model)[0]


def estimates(tracing: Tracing, names: Sequence[str], at: Micros, model: SkillModel) -> list[SkillEstimate]:
    """The same for several skills."""
    at = at if tracing.general is None else max(at, tracing.general.at)
    general = _general(tracing.general, at, model)
    shared = model.carry_over**2 * general.variance
    found: list[SkillEstimate] = []
    for name in names:
        known = tracing.skills.get(name)
        level, variance, lost = _level(known, name, general, at, model)
        probability, uncertainty = model.chance(level), sqrt(variance + shared)
        if known is None:
            found.append(SkillEstimate(probability, uncertainty, 0.0, None))
        else:
            forgotten = model.chance(level + lost) - probability if lost else 0.0
            found.append(SkillEstimate(probability, uncertainty, forgotten, known.at))
    return found


def level_of(tracing: Tracing, skill: str, at: Micros, model: SkillModel) -> float:
    """The level on a skill at a moment, in log-odds of a right answer to an item of no known difficulty."""
    at = at if tracing.general is None else max(at, tracing.general.at)
    level, _, _ = _level(tracing.skills.get(skill), skill, _general(tracing.general, at, model), at, model)
    return level


def _level(
    skill: Skill | None, name: str, general: General, at: Micros, model: SkillModel
) -> tuple[float, float, float]:
    """Mean and variance of the level on a skill at a moment, before anything new is learned of it; and what it lost.

    What its own answers put it above the expected fades, half of it in each half-life (Settles and Meeder 2016).
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
    """The general level at a moment: days away make it less sure."""
    if known is None:
        return General(0.0, model.general_variance, at)
    away = (at - known.at) / DAY
    return General(known.mean, _unsure(known.variance, model.general_variance, away, model), at)


def _unsure(variance: float, most: float, away: float, model: SkillModel) -> float:
    """A variance after days away, on its way back to that of one of whom nothing is known."""
    left: float = 2.0 ** (-away / model.unsure_days)
    return most - (most - variance) * left


def _gain(variance: float, noise: float, model: SkillModel) -> tuple[float, float]:
    """How far an answer moves a level of this variance, and the variance after it."""
    gain = variance / (1.0 + model.information * variance)
    return gain, gain + noise
