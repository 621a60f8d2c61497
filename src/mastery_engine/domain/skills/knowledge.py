"""Knowledge tracing: how likely a student's next answer is right, by skill, online and in constant time.

A student has a general level, moved by all answers, and one for each skill practised, moved by its own alone, in
log-odds of a right answer to an item of unknown difficulty. The gain of an answer depends on how many there were and
how long ago, never on whether they were right (Elo's rule with the gains of a Kalman filter: Glickman 1999, Pelánek
2016). Where a student stands on a skill is a weighted sum of three parts:

- the general level, for every skill, tried or not;
- the skill's own level;
- the logarithm of its recent successes, each of which counts less with every further answer (Galyardt and Goldin 2015;
  the logarithm by Gervet et al. 2020). They tell what was learned just now.

What is unexpected about an answer is measured by the part's own past and by how many answers there were. So each part
only rises with right answers, whatever the others do: one more right answer lowers no estimate at that moment, a right
one in the place of a wrong one lowers none then or later, and a skill with right answers only never stands below one
that was never tried.
"""

from collections.abc import Sequence
from math import sqrt

import msgspec

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.skills.model import SkillModel

MAX_SKILLS = 1_000


class General(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The general level: ``mean`` and ``variance`` of the log-odds, and when the last answer came."""

    mean: float
    variance: float
    at: Micros


class SkillLevel(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the answers on one skill say, the last of them ``at``: ``mean`` and ``variance`` of the log-odds.

    ``successes`` are the recent ones, each weighing less with every further answer. Documents from before they were
    counted have None there, and in ``mean`` all parts of the level, at the ``general`` mean of then.
    """

    mean: float
    variance: float
    at: Micros
    general: float | None
    answers: int
    successes: float | None = None


class KnowledgeState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The traced levels of one student; ``general`` is None before the first answer."""

    general: General | None = None
    skills: dict[str, SkillLevel] = {}

    def since(self, oldest: Micros) -> "KnowledgeState":
        """Without the skills last practised before a moment; the same object if there are none.

        They are in the order of their practice.
        """
        first = next(iter(self.skills.values()), self.general)
        if self.general is None or first is None or first.at >= oldest:
            return self
        if self.general.at < oldest:
            return NO_KNOWLEDGE
        return KnowledgeState(self.general, {name: one for name, one in self.skills.items() if one.at >= oldest})


NO_KNOWLEDGE = KnowledgeState()

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KnowledgeState).decode


def packed(knowledge: KnowledgeState) -> bytes:
    """The state as a document holds it; nothing where there is none."""
    return b"" if knowledge.general is None else _encode(knowledge)


def unpacked(source: bytes) -> KnowledgeState:
    """The state in bytes that ``packed`` made."""
    return _decode(source) if source else NO_KNOWLEDGE


def merged_knowledge(ours: KnowledgeState, theirs: KnowledgeState) -> KnowledgeState:
    """What two documents of one student say: of each skill, and of the general level, the one with more answers.

    Levels follow the arrival of answers, so there is no exact union; those of more answers are the surer ones. Of as
    many the one practised later is taken, and at the same time ours.
    """
    if ours.general is None or theirs.general is None:
        return theirs if ours.general is None else ours
    skills = {**ours.skills}
    for name, level in theirs.skills.items():
        known = skills.get(name)
        if known is None or (known.answers, known.at) < (level.answers, level.at):
            skills[name] = level
    latest = sorted(skills.items(), key=lambda item: item[1].at)[-MAX_SKILLS:]  # in the order of their practice
    general = theirs.general if _answers(ours) < _answers(theirs) else ours.general
    general = General(general.mean, general.variance, max(ours.general.at, theirs.general.at))
    return KnowledgeState(general, dict(latest))


def _answers(knowledge: KnowledgeState) -> int:
    return sum(one.answers for one in knowledge.skills.values())


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

    An answer that was right to a fraction moves each part of a level to that fraction of the way from where a wrong one
    would leave it to where a right one would. One without skills moves the general level.
    """
    known = knowledge.general
    difficulty = model.difficulty(answer.item_id, answer.difficulty, at)
    at = at if known is None else max(at, known.at)
    right = answer.fraction
    before = _general(known, at, model)
    skills = {**knowledge.skills}
    names, expected = dict.fromkeys(answer.skills), 0.0
    for name in names:
        skill = _now(skills.pop(name, None), name, at, model)
        weight = skill.left * model.weight(skill.answers)
        expected += _expected(skill.usual + before.mean, weight, difficulty, model)
        level = skill.usual + _faded(skill.own, skill.left)
        gain, spread = _gain(skill.variance, model.skill_noise, model)
        level += model.own_gain * gain * (right - model.chance(_expected(level, weight, difficulty, model)))
        successes = model.success_kept * skill.left * skill.successes + right
        skills[name] = SkillLevel(level, spread, at, None, skill.answers + 1, successes)
    if names:
        expected /= len(names)
    else:
        expected = _expected(model.usual + before.mean, 0.0, difficulty, model)
    gain, variance = _gain(before.variance, model.general_noise, model)
    mean = before.mean + gain * (right - model.chance(expected))
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
    general = _general(knowledge.general, at if knowledge.general is None else max(at, knowledge.general.at), model)
    at, shared, carried = general.at, model.carry_over**2 * general.variance, model.carry_over * general.mean
    half_life, unsure_days, most = model.half_life_days, model.unsure_days, model.skill_variance
    chance, practice, offset, skills = model.chance, model.practice, model.offset, knowledge.skills
    found: list[KnowledgeEstimate] = []
    for name in names:  # as ``_now`` and ``_level`` have it, in a loop that a class's morning runs for each skill
        known, usual = skills.get(name), offset(name)
        if known is None:
            found.append(KnowledgeEstimate(chance(usual + carried), sqrt(most + shared), 0.0, None))
            continue
        own, successes, away = known.mean - usual, known.successes, (at - known.at) / DAY
        if successes is None:
            own, successes = own_level(known, name, model), 0.0
        left = 2.0 ** (-away / half_life)
        level = usual + carried + (own * left if own > 0.0 else own)
        now = chance(level + practice(left * successes) if successes else level)
        forgotten = 0.0
        if left < 1.0:
            level = usual + carried + own
            forgotten = chance(level + practice(successes) if successes else level) - now
        variance = most - (most - known.variance) * 2.0 ** (-away / unsure_days)
        found.append(KnowledgeEstimate(now, sqrt(variance + shared), forgotten, known.at))
    return found


def level_of(knowledge: KnowledgeState, skill: str, at: Micros, model: SkillModel) -> float:
    """The level on a skill at a moment, in log-odds of a right answer to an item of unknown difficulty."""
    at = at if knowledge.general is None else max(at, knowledge.general.at)
    now = _now(knowledge.skills.get(skill), skill, at, model)
    return _level(now, _general(knowledge.general, at, model), now.left, model)


def own_level(skill: SkillLevel, name: str, model: SkillModel) -> float:
    """How far a skill's own answers put it above its usual level, in log-odds, as at the last of them."""
    own = skill.mean - model.offset(name)
    if skill.successes is None:  # an older document, in which the level held its part of the general one too
        own -= model.carry_over * (skill.general or 0.0)
    return own


def level_when_practised(knowledge: KnowledgeState, name: str, model: SkillModel) -> float:
    """The level on a practised skill in log-odds, before any of it is forgotten."""
    skill, general = knowledge.skills[name], knowledge.general
    level = model.offset(name) + own_level(skill, name, model) + model.practice(skill.successes or 0.0)
    return level if general is None else level + model.carry_over * general.mean


class _SkillNow(msgspec.Struct, frozen=True, gc=False):
    """A skill alone at a moment, and how surely it is known.

    ``own`` is how far its own answers put it above the ``usual`` level, and ``successes`` are the recent ones; both as
    at its last answer. The share of them that is ``left`` falls with the time since.
    """

    usual: float
    own: float
    successes: float
    left: float
    variance: float
    answers: int


def _now(skill: SkillLevel | None, name: str, at: Micros, model: SkillModel) -> _SkillNow:
    """The skill at a moment; half of what it was is left after each half-life (Settles and Meeder 2016)."""
    usual = model.offset(name)
    if skill is None:
        return _SkillNow(usual, 0.0, 0.0, 1.0, model.skill_variance, 0)
    away = (at - skill.at) / DAY
    left: float = 2.0 ** (-away / model.half_life_days)
    variance = _unsure(skill.variance, model.skill_variance, away, model)
    return _SkillNow(usual, own_level(skill, name, model), skill.successes or 0.0, left, variance, skill.answers)


def _level(skill: _SkillNow, general: General, left: float, model: SkillModel) -> float:
    """Where the student stands on the skill, in log-odds, with the share ``left`` of what it was."""
    practice = model.practice(left * skill.successes) if skill.successes else 0.0
    return skill.usual + model.carry_over * general.mean + _faded(skill.own, left) + practice


def _faded(own: float, left: float) -> float:
    """Only what is above the usual is forgotten: time alone raises no estimate."""
    return own * left if own > 0.0 else own


def _expected(level: float, weight: float, difficulty: float, model: SkillModel) -> float:
    """The log-odds of a right answer to an item, if the successes were those that the level makes likely on such items.

    ``weight`` is how many there are if all answers were right: each fades with the answers after it, and over the last
    pause. If it went by those that came, a success would make later ones count for less, and might lower an estimate.
    """
    level -= difficulty
    return level + model.practice(weight * model.chance(level))


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
    """The gain of an answer for a level of this variance, and the variance after it: never more than before."""
    gain = variance / (1.0 + model.information * variance)
    return gain, min(gain + noise, variance)
