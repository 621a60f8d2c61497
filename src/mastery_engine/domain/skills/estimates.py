"""How well a student knows each skill: the one answer for every door, and what follows from it.

``skill_estimates`` joins three sources in log-odds: what is expected of the student before any evidence on the skill
(the prior), the answers (the knowledge state), and the exercises done. Each weighs by its information. All is as of a
day: its first moment, or the last answer where that is later. So an estimate moves with evidence and from day to day,
and two doors never say different things between two events of one day.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import exp, sqrt
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.evidence.evidence import Evidence, TopicProgress
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills import knowledge as traced
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, KnowledgeEstimate, KnowledgeState, SkillLevel
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel

KNOWN = 0.60
MASTERED = 0.80
FORGOTTEN = 0.12
RESTED_DAYS = 21  # about the gap after which a review keeps most for months (Cepeda et al. 2008)
ENOUGH_ANSWERS, ENOUGH_DONE = 3, 0.5  # answers, or the share of the exercises, from which on a skill may count as known
LATELY_RIGHT = 1.0  # recent successes: the last answer was right, or it was a slip after three that were
EXERCISE = 0.75  # of a right answer: an exercise may be tried until it works
FADES_DAYS = 60.0
NOT_NAMED = ""  # a skill that no model names
MOST_UNCERTAIN = 0.5  # the standard deviation of a coin that nobody has seen thrown

Basis: TypeAlias = Literal["answers", "exercises", "prior"]


class SkillEstimate(msgspec.Struct, frozen=True, gc=False):
    """What is known about one skill on a day.

    ``probability`` is that of a right next answer, in [0, 1] and rounded to 4 decimals; ``variance`` is that of its
    log-odds; ``forgotten`` is how much of it was lost since ``last_practised``. ``basis`` is what weighs most of the
    student's own evidence on the skill, or ``prior`` without any; then ``last_practised`` is None. ``is_enough`` is
    whether there is so much evidence that the skill may count as known from ``KNOWN`` on, ``is_lately_right`` whether
    the last of it does not speak against that. ``practised`` is how much the skill was practised: its answers, and the
    exercises done in right answers.
    """

    probability: float
    variance: float
    forgotten: float
    last_practised: Micros | None
    basis: Basis = "answers"
    answers: int = 0
    is_enough: bool = True
    is_rested: bool = False
    is_lately_right: bool = True
    practised: float = 0.0

    @property
    def uncertainty(self) -> float:
        """The standard error of the probability, by the delta method: in [0, 0.5]."""
        return min(MOST_UNCERTAIN, self.probability * (1.0 - self.probability) * sqrt(self.variance))

    @property
    def is_known(self) -> bool:
        """Whether the evidence shows that the skill is known: not its prior alone, which may be above ``KNOWN``."""
        least = KNOWN if self.is_enough and self.is_lately_right else MASTERED
        return self.probability >= least and self.basis != "prior"

    @property
    def is_mastered(self) -> bool:
        """Whether the evidence shows that the skill is mastered."""
        return self.probability >= MASTERED and self.is_enough and self.basis != "prior"

    @property
    def is_settled(self) -> bool:
        """Whether the evidence says that the skill is mastered, be it little: then it is not advised as a weak one."""
        return self.probability >= MASTERED and self.basis != "prior"

    @property
    def needs_review(self) -> bool:
        """Whether it is time for a review: 0.12 is lost, or it was known and has rested for three weeks."""
        return self.is_rested or self.forgotten >= FORGOTTEN


Estimates: TypeAlias = Mapping[str, SkillEstimate]


class Outlook(msgspec.Struct, frozen=True, gc=False):
    """Estimates within a course.

    ``estimates`` are those of skills with evidence, of the course or beside it; ``mastered`` of them are. ``known`` has
    the bits of the course's skills that count as known, ``seen`` of those with evidence; of these ``settled`` are not
    advised as weak ones, and ``due`` are to be reviewed. ``usual`` is the chance of a right answer on a skill without
    evidence that the model does not name.
    """

    estimates: Estimates
    known: int
    seen: int
    curriculum: Curriculum
    usual: float
    knowledge: KnowledgeState = NO_KNOWLEDGE
    at: Micros = 0
    model: SkillModel = DEFAULT_SKILLS
    settled: int = 0
    due: int = 0
    mastered: int = 0

    def knows(self, skill: str) -> bool:
        """Whether a skill of the course counts as known: by its evidence, or as a known one rests on it."""
        return bool(self.known & self.curriculum.bits[skill])

    def chance(self, skill: str) -> float:
        """The probability of a right next answer on a skill of the course, with evidence or without."""
        found = self.estimates.get(skill)
        if found is not None:
            return found.probability
        return self.usual if skill not in self.model.skills else _shown(self._prior(skill).probability)

    def estimate(self, skill: str) -> SkillEstimate:
        """The estimate of a skill of the course, with evidence or without."""
        found = self.estimates.get(skill)
        if found is not None:
            return found
        variance = self._prior(skill).uncertainty ** 2
        return SkillEstimate(self.chance(skill), variance, 0.0, None, "prior", is_enough=False)

    def of_course(self) -> Estimates:
        """As ``estimate`` for every skill of the course, in its order: those that nothing tells apart are one."""
        named, known, alike = self.model.skills, self.estimates, self.estimate(NOT_NAMED)
        return {
            skill: known[skill] if skill in known else self.estimate(skill) if skill in named else alike
            for skill in self.curriculum.skills
        }

    def _prior(self, skill: str) -> KnowledgeEstimate:
        return traced.estimate(self.knowledge, skill, self.at, self.model)


def outlook(
    estimates: Estimates,
    curriculum: Curriculum,
    knowledge: KnowledgeState = NO_KNOWLEDGE,
    at: Micros = 0,
    model: SkillModel = DEFAULT_SKILLS,
) -> Outlook:
    """The estimates within a course: skills shown to be known count as known, and so do their prerequisites whose own
    evidence does not speak against it. So a right answer on one of these takes nothing away."""
    usual = _shown(traced.estimate(knowledge, NOT_NAMED, at, model).probability)
    return _outlook(estimates, curriculum, usual, knowledge, at, model)


def _outlook(
    estimates: Estimates, curriculum: Curriculum, usual: float, knowledge: KnowledgeState, at: Micros, model: SkillModel
) -> Outlook:
    seen = shown = below = against = settled = due = mastered = 0
    bits, all_below = curriculum.bits, curriculum.below
    for name, one in estimates.items():
        chance, bit = one.probability, bits.get(name, 0)
        seen |= bit
        if chance >= KNOWN and one.is_known:
            shown |= bit
            below |= all_below.get(name, 0)
            if chance >= MASTERED:
                settled |= bit
                mastered += one.is_enough
        elif not one.is_lately_right:
            against |= bit
        if one.is_rested or one.forgotten >= FORGOTTEN:
            due |= bit
    known = below & ~against | shown
    return Outlook(estimates, known, seen, curriculum, usual, knowledge, at, model, settled, due, mastered)


def outlook_of(
    evidence: Evidence,
    knowledge: KnowledgeState,
    curriculum: Curriculum,
    today: Day,
    rules: Rules,
    model: SkillModel = DEFAULT_SKILLS,
    *,
    beside: bool = True,
) -> Outlook:
    """What a student knows on a day: the estimate of every skill with evidence in the course, and ``beside`` it.

    Exercises on a topic are evidence of the skill of that name, and those on a module of its skills, by equal parts.
    One more right answer, or exercise done, lowers no estimate, and time away alone raises none.
    """
    at = rules.start_of(today)
    kept = _within(knowledge, today, rules)
    done = _exercises_done(evidence.completion, evidence.completion, curriculum, today, rules)
    tried, named, course = [*kept.skills], model.skills, curriculum.skills
    if not beside:
        tried = [name for name in tried if name in course]
    names = tried + [name for name in done if name in named and name not in kept.skills] if named else tried
    *levels, usual = traced.estimates(kept, [*names, NOT_NAMED], at, model)
    shared, rested = _shared_variance(kept, model), _rested(today, rules)
    found: dict[str, SkillEstimate] = {}
    for name, level in zip(names, levels):  # noqa: B905
        found[name] = _joined(level, kept.skills.get(name), done.get(name), shared, rested, model)
    if done:
        alike: dict[int, SkillEstimate] = {}  # a module's exercises alone tell nothing apart
        for name, exercises in done.items():
            if name not in found and (beside or name in course):
                one = alike.get(id(exercises))
                if one is None:
                    one = alike[id(exercises)] = _joined(usual, None, exercises, shared, rested, model)
                found[name] = one
    return _outlook(found, curriculum, _shown(usual.probability), kept, at, model)


def skill_estimates(
    names: Sequence[str],
    evidence: Evidence,
    knowledge: KnowledgeState,
    curriculum: Curriculum,
    today: Day,
    rules: Rules,
    model: SkillModel = DEFAULT_SKILLS,
) -> dict[str, SkillEstimate]:
    """The estimates of those of these skills that have evidence, as ``outlook_of`` has them: quicker for a few."""
    kept = _within(knowledge, today, rules)
    named = {*names, *[curriculum.module_of.get(name, name) for name in names]}
    topics = [topic for topic in evidence.completion if topic in named]
    done = _exercises_done(topics, evidence.completion, curriculum, today, rules)
    names = [name for name in names if name in kept.skills or name in done]
    if not names:
        return {}
    levels = traced.estimates(kept, names, rules.start_of(today), model)
    shared, rested = _shared_variance(kept, model), _rested(today, rules)
    return {
        name: _joined(level, kept.skills.get(name), done.get(name), shared, rested, model)
        for name, level in zip(names, levels, strict=True)
    }


def _within(knowledge: KnowledgeState, today: Day, rules: Rules) -> KnowledgeState:
    """The knowledge without skills last practised before the retention; the same object if there are none."""
    return knowledge.since(rules.start_of(rules.first_day(today)))


class ExercisesDone(msgspec.Struct, frozen=True, gc=False):
    """The exercises done on one skill, in right answers: all of them, and what is left of them after days away."""

    whole: float
    left: float
    at: Micros
    is_enough: bool


def _exercises_done(
    topics: Iterable[str],
    completion: Mapping[str, TopicProgress],
    curriculum: Curriculum,
    today: Day,
    rules: Rules,
) -> dict[str, ExercisesDone]:
    """The exercises done in these topics, by skill; e^(-days / 60) of them is left (Ebbinghaus 1885)."""
    found: dict[str, ExercisesDone] = {}
    oldest, members = rules.start_of(rules.first_day(today)), curriculum.members
    for topic in topics:
        progress = completion[topic]
        if progress.at < oldest or not topic:
            continue
        skills = members.get(topic, ())
        whole = EXERCISE * progress.completed / (len(skills) or 1)
        one = ExercisesDone(
            whole,
            whole * exp(min(0, rules.day_of(progress.at) - today) / FADES_DAYS),
            progress.at,
            progress.completed >= ENOUGH_DONE * progress.total,
        )
        for skill in skills or (topic,):
            other = found.get(skill)
            found[skill] = one if other is None else _together(one, other)
    return found


def _together(one: ExercisesDone, other: ExercisesDone) -> ExercisesDone:
    return ExercisesDone(
        one.whole + other.whole, one.left + other.left, max(one.at, other.at), one.is_enough or other.is_enough
    )


def _rested(today: Day, rules: Rules) -> Micros:
    """The moment before which a skill was last practised three weeks ago or more."""
    return rules.start_of(today - RESTED_DAYS + 1)


def _shared_variance(knowledge: KnowledgeState, model: SkillModel) -> float:
    """The part of the variance of a level that all skills share, when the last answer came."""
    general = knowledge.general
    return model.carry_over**2 * (model.general_variance if general is None else general.variance)


def _joined(
    level: KnowledgeEstimate,
    own: SkillLevel | None,
    exercises: ExercisesDone | None,
    shared: float,
    rested: Micros,
    model: SkillModel,
) -> SkillEstimate:
    """The estimate of a skill by its level, which has prior and answers joined, and the exercises done.

    A known skill last practised before ``rested`` is to be reviewed.
    """
    chance, uncertainty = level.probability, level.uncertainty
    before, variance = chance + level.forgotten, uncertainty * uncertainty
    answers, last, is_enough, is_lately_right = 0, 0, False, True
    if own is not None:
        answers, last, successes = own.answers, own.at, own.successes
        is_enough, is_lately_right = answers >= ENOUGH_ANSWERS, successes is None or successes >= LATELY_RIGHT
    basis: Basis = "answers" if answers else "prior"
    whole = 0.0
    if exercises is not None:
        whole, left = exercises.whole, exercises.left
        is_enough = is_enough or exercises.is_enough
        if exercises.at > last:
            last = exercises.at
        if left > answers:
            basis, is_lately_right = "exercises", True
        if left:
            # As of the last answer: a variance that grows with time would let exercises weigh more by time alone.
            settled = shared + (model.skill_variance if own is None else own.variance)
            before = _after_exercises(before, settled * whole)
            chance = _after_exercises(chance, settled * left)
            variance /= 1.0 + variance * left / 4.0
    chance = int(10_000.0 * chance + 0.5) / 10_000.0  # as ``_shown``
    before = int(10_000.0 * before + 0.5) / 10_000.0
    return SkillEstimate(
        chance,
        variance,
        before - chance if before > chance else 0.0,
        last,
        basis,
        answers,
        is_enough,
        is_enough and last < rested and before >= (KNOWN if is_lately_right else MASTERED),
        is_lately_right,
        answers + whole,
    )


def _after_exercises(chance: float, weight: float) -> float:
    """The probability of a right answer after some right answers more, all at once.

    ``weight`` is the variance that the log-odds have before, times the number of right answers. The log-odds move by
    one step of Newton's method with the greatest curvature that a likelihood of answers can have, 1/4, which never goes
    too far (Böhning and Lindsay 1988). So the result rises with either argument; and with one more right answer in the
    knowledge state, which moves the chance up and the variance down, as long as it has no more information than 1/4.
    """
    odds = chance * exp(weight / (1.0 + weight / 4.0) * (1.0 - chance))
    return odds / (odds + 1.0 - chance)


def _shown(chance: float) -> float:
    """A probability as it is shown everywhere, so that no figure contradicts what follows from it."""
    return int(10_000.0 * chance + 0.5) / 10_000.0  # as round(chance, 4), but for ties, and quicker
