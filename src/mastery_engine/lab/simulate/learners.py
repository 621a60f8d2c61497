"""Simulated learners of a course, of three kinds that learn and forget by laws unlike one another.

The engine and the rules that it is compared with see answers alone, and know none of this: each kind is here so that
advice is not made to suit one simulation.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from math import exp, log
from random import Random
from statistics import mean
from typing import TypeAlias

from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.moments import Day

QUESTIONS = 5
FIRST_DAY: Day = 20_454  # 2026-01-01

_GUESS, _KNOWS = 0.15, 0.80
_FADES_DAYS = 25.0


class Learner:
    """One learner: how well they master each skill, in [0, 1], and how that moves."""

    def __init__(self, curriculum: Curriculum, chance: Random) -> None:
        self._skills = curriculum.skills
        self._chance = chance

    @abstractmethod
    def masters(self, skill: str, day: Day) -> float:
        """The true mastery of a skill on a day."""

    @abstractmethod
    def practise(self, skill: str, day: Day) -> list[bool]:
        """One session: five answers, and what was learned from them."""

    def mean(self, day: Day) -> float:
        """The mean mastery over the course."""
        return mean(self.masters(skill, day) for skill in self._skills)

    def ready(self, skill: str, day: Day) -> float:
        """How far the prerequisites of a skill are there, in [0, 1]."""
        ready = 1.0
        for needed in self._skills[skill].prerequisites:
            ready *= 1.0 / (1.0 + exp(-(self.masters(needed, day) - 0.5) / 0.08))
        return ready


class SmoothLearner(Learner):
    """Mastery grows by a share of what is missing, and fades towards a lasting part, the slower the more often it was
    practised. ``lasting`` is the share of a skill that time never takes."""

    lasting = 0.4

    def __init__(self, curriculum: Curriculum, chance: Random) -> None:
        super().__init__(curriculum, chance)
        quick, head_start = chance.uniform(0.6, 1.4), chance.uniform(0.0, 0.5)
        self._learns = {name: min(0.8, quick * chance.lognormvariate(-1.6, 0.6)) for name in curriculum.skills}
        self._peak = {
            name: chance.uniform(0.5, 1.0) if chance.random() < head_start else chance.uniform(0.0, 0.2)
            for name in curriculum.skills
        }
        self._practised = dict.fromkeys(curriculum.skills, (FIRST_DAY, 0))  # day, times

    def masters(self, skill: str, day: Day) -> float:
        last, times = self._practised[skill]
        lasting = self.lasting * self._peak[skill]
        return lasting + (self._peak[skill] - lasting) * exp((last - day) / (_FADES_DAYS * (1 + 0.5 * times)))

    def practise(self, skill: str, day: Day) -> list[bool]:
        now = self.masters(skill, day)
        answers = [self._chance.random() < _GUESS + _KNOWS * now for _ in range(QUESTIONS)]
        self.learn(skill, day)
        return answers

    def learn(self, skill: str, day: Day, share: float = 1.0) -> None:
        """What a share of a session teaches: hardly anything where prerequisites are missing."""
        now, ready = self.masters(skill, day), self.ready(skill, day)
        self._peak[skill] = now + share * self._learns[skill] * (1.0 - now) * (0.1 + 0.9 * ready)
        last, times = self._practised[skill]
        self._practised[skill] = (day, times + (1 if last < day or share == 1.0 else 0))


class BinaryLearner(Learner):
    """A skill is known or not; it is learned in one step at some answer, and lost in one on some later day (Corbett and
    Anderson 1995)."""

    def __init__(self, curriculum: Curriculum, chance: Random) -> None:
        super().__init__(curriculum, chance)
        quick, head_start = chance.uniform(0.6, 1.4), chance.uniform(0.0, 0.35)
        self._learns = {name: min(0.5, quick * chance.lognormvariate(-2.7, 0.6)) for name in curriculum.skills}
        self._times = dict.fromkeys(curriculum.skills, 0)
        self._known_until: dict[str, float] = {
            name: FIRST_DAY + self._lasts(0) if chance.random() < head_start else FIRST_DAY
            for name in curriculum.skills
        }

    def masters(self, skill: str, day: Day) -> float:
        return 1.0 if day < self._known_until[skill] else 0.0

    def practise(self, skill: str, day: Day) -> list[bool]:
        learns = self._learns[skill] * (1.0 if self.ready(skill, day) > 0.5 else 0.1)
        known = self.masters(skill, day) > 0.0
        answers = []
        for _ in range(QUESTIONS):
            answers.append(self._chance.random() < (0.9 if known else 0.2))
            known = known or self._chance.random() < learns
        if known:
            self._times[skill] += 1
            self._known_until[skill] = day + 1 + self._lasts(self._times[skill])
        return answers

    def _lasts(self, times: int) -> float:
        """How many days a skill stays known, drawn; the longer the more often it was practised."""
        return self._chance.expovariate(1.0 / (_FADES_DAYS * (1.0 + 0.7 * times)))


class LogisticLearner(Learner):
    """The log-odds of a right answer rise with the logarithm of practice, of which right answers bring more (Pavlik,
    Cen and Koedinger 2009); half of it fades with a half-life that grows (Settles and Meeder 2016). Mastery is the
    chance of a right answer: some learners never come far in some skills."""

    def __init__(self, curriculum: Curriculum, chance: Random) -> None:
        super().__init__(curriculum, chance)
        ability, quick = chance.gauss(-1.5, 0.5), chance.uniform(0.8, 1.6)
        self._usual = {name: ability + chance.gauss(0.0, 0.6) for name in curriculum.skills}
        self._learns = {name: quick * chance.lognormvariate(0.0, 0.3) for name in curriculum.skills}
        self._practised = {
            name: (0.0 if chance.random() > 0.3 else chance.uniform(2.0, 10.0), FIRST_DAY, 0)
            for name in curriculum.skills
        }  # how much, the last day, the number of days

    def masters(self, skill: str, day: Day) -> float:
        level = self._usual[skill] + self._learns[skill] * log(1.0 + self._left(skill, day))
        return 1.0 / (1.0 + exp(-level))

    def practise(self, skill: str, day: Day) -> list[bool]:
        now = self.masters(skill, day)
        answers = [self._chance.random() < now for _ in range(QUESTIONS)]
        brought = sum(0.5 if right else 0.25 for right in answers) * (0.1 + 0.9 * self.ready(skill, day))
        _, last, days = self._practised[skill]
        self._practised[skill] = (self._left(skill, day) + brought, day, days + (day > last or not days))
        return answers

    def _left(self, skill: str, day: Day) -> float:
        """What is left of the practice."""
        practised, last, days = self._practised[skill]
        left: float = 0.5 + 0.5 * 2.0 ** ((last - day) / (15.0 * (1.0 + 0.5 * days)))
        return practised * left


MakesLearner: TypeAlias = Callable[[Curriculum, Random], Learner]
LEARNERS: Mapping[str, MakesLearner] = {
    "smooth": SmoothLearner,
    "binary": BinaryLearner,
    "logistic": LogisticLearner,
}
