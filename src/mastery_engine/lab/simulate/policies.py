"""How much practice students need whose next skill is chosen by the engine, at random, or by a simple rule.

A learner has a true mastery of each skill. It grows with practice (less, the less of the prerequisites is there, and
the more is reached), and fades towards a lasting part, the slower the more often it was practised. Answers follow from
it by chance. The engine and the rules see answers alone, and none of this.
"""

from collections.abc import Callable, Mapping, Sequence
from math import exp, log
from random import Random
from statistics import mean
from typing import TypeAlias

import msgspec

from mastery_engine.domain.advice.recommend import recommend
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE
from mastery_engine.domain.moments import DAY, Day
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import Outlook, SkillEstimate, outlook
from mastery_engine.domain.skills.model import SkillModel

GOAL = 0.75
QUESTIONS = 5
SESSIONS_A_DAY = 4
LONGEST = 3_000
FIRST_DAY: Day = 20_454  # 2026-01-01
RULES = Rules()
UNTRIED = 0.30  # right answers of beginners
MODEL = SkillModel(usual=log(UNTRIED / (1.0 - UNTRIED)))

_GUESS, _KNOWS = 0.15, 0.80
_FADES_DAYS = 25.0
_ROUNDS = 4


class SimulatedLearner:
    """One simulated learner of a course. ``lasting`` is the share of a skill that time never takes."""

    lasting = 0.4

    def __init__(self, curriculum: Curriculum, chance: Random) -> None:
        self._skills = curriculum.skills
        self._chance = chance
        quick, head_start = chance.uniform(0.6, 1.4), chance.uniform(0.0, 0.5)
        self._learns = {name: min(0.8, quick * chance.lognormvariate(-1.6, 0.6)) for name in curriculum.skills}
        self._peak = {
            name: chance.uniform(0.5, 1.0) if chance.random() < head_start else chance.uniform(0.0, 0.2)
            for name in curriculum.skills
        }
        self._practised = dict.fromkeys(curriculum.skills, (FIRST_DAY, 0))  # day, times

    def masters(self, skill: str, day: Day) -> float:
        """The true mastery of a skill on a day."""
        last, times = self._practised[skill]
        lasting = self.lasting * self._peak[skill]
        return lasting + (self._peak[skill] - lasting) * exp((last - day) / (_FADES_DAYS * (1 + 0.5 * times)))

    def mean(self, day: Day) -> float:
        """The mean mastery over the course."""
        return mean(self.masters(skill, day) for skill in self._skills)

    def practise(self, skill: str, day: Day) -> list[bool]:
        """One session: five answers, then what was learned from them."""
        now = self.masters(skill, day)
        answers = [self._chance.random() < _GUESS + _KNOWS * now for _ in range(QUESTIONS)]
        self.learn(skill, day)
        return answers

    def learn(self, skill: str, day: Day, share: float = 1.0) -> None:
        """What a share of a session teaches: hardly anything where prerequisites are missing."""
        now = self.masters(skill, day)
        ready = 1.0
        for needed in self._skills[skill].prerequisites:
            ready *= 1.0 / (1.0 + exp(-(self.masters(needed, day) - 0.5) / 0.08))
        self._peak[skill] = now + share * self._learns[skill] * (1.0 - now) * (0.1 + 0.9 * ready)
        last, times = self._practised[skill]
        self._practised[skill] = (day, times + (1 if last < day or share == 1.0 else 0))


class Observer:
    """What can be known from answers alone: a mean in which each session weighs 0.7 of the next; it fades with time.

    Learners of this simulation learn and forget faster than those whose answers the shipped knowledge state was fitted
    on; so it has estimates of its own. What follows from them is the engine's.
    """

    def __init__(self, curriculum: Curriculum) -> None:
        self.curriculum = curriculum
        self._seen: dict[str, tuple[float, float, Day]] = {}

    def see(self, skill: str, answers: Sequence[bool], day: Day) -> None:
        right, asked, _ = self._seen.get(skill, (2 * UNTRIED, 2.0, day))
        self._seen[skill] = (0.5 * right + sum(answers), 0.5 * asked + len(answers), day)

    def outlook(self, day: Day) -> Outlook:
        """What the engine makes of it on a day."""
        estimates = {}
        for skill, (right, asked, last) in self._seen.items():
            share = right / asked
            left = 0.5 * share + 0.5 * share * exp((last - day) / 40.0)
            estimates[skill] = SkillEstimate(left, 4.0 / asked, share - left, last * DAY)
        return outlook(estimates, self.curriculum, model=MODEL)


Policy: TypeAlias = Callable[[Observer, int, Day, Random], str]


def _engine(observer: Observer, session: int, day: Day, chance: Random) -> str:
    """The engine's first advice about a skill."""
    del session, chance
    advice = recommend(NO_EVIDENCE, (0.0, 0.0, 1.0, 1.0), observer.outlook(day), day, RULES)
    skills = observer.curriculum.skills
    return next((recommended.area for recommended in advice if recommended.area in skills), next(iter(skills)))


def _random(observer: Observer, session: int, day: Day, chance: Random) -> str:
    del session, day
    return chance.choice(list(observer.curriculum.skills))


def _weakest(observer: Observer, session: int, day: Day, chance: Random) -> str:
    """The skill with the lowest estimate, whatever it asks for first; of equals any."""
    del session
    view = observer.outlook(day)
    return min(observer.curriculum.skills, key=lambda skill: (view.chance(skill), chance.random()))


def _in_order(observer: Observer, session: int, day: Day, chance: Random) -> str:
    """The course from its first skill to its last, four sessions each, and from the start again."""
    del day, chance
    skills = list(observer.curriculum.skills)
    return skills[session // _ROUNDS % len(skills)]


POLICIES: Mapping[str, Policy] = {"engine": _engine, "random": _random, "weakest": _weakest, "curriculum": _in_order}


class PolicyOutcome(msgspec.Struct, frozen=True):
    """How a class fared under one policy. ``sessions`` is the mean number until a learner's mean mastery was 0.75.

    ``curve`` is the class's mean mastery after each session.
    """

    policy: str
    sessions: float
    reached: int
    students: int
    curve: list[float]


def course(policy: str, curriculum: Curriculum, *, students: int, seed: int) -> PolicyOutcome:
    """A class under a policy, each learner until the goal; the same seed is the same class, whatever the policy."""
    needed: list[int] = []
    curves: list[list[float]] = []
    for number in range(students):
        learner = SimulatedLearner(curriculum, Random(f"{seed}/{number}"))  # nosec B311
        observer, chance = Observer(curriculum), Random(f"{seed}/{number}/{policy}")  # nosec B311
        curve = [learner.mean(FIRST_DAY)]
        while curve[-1] < GOAL and len(curve) <= LONGEST:
            session = len(curve) - 1
            day = FIRST_DAY + session // SESSIONS_A_DAY
            skill = POLICIES[policy](observer, session, day, chance)
            observer.see(skill, learner.practise(skill, day), day)
            curve.append(learner.mean(day))
        needed.append(len(curve) - 1)
        curves.append(curve)
    longest = max(map(len, curves))
    whole = [round(mean(curve[min(place, len(curve) - 1)] for curve in curves), 4) for place in range(longest)]
    return PolicyOutcome(
        policy, round(mean(needed), 1), sum(sessions < LONGEST for sessions in needed), students, whole
    )
