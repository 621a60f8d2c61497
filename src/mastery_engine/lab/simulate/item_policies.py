"""How many answers students need whose next item is chosen by the engine, by its advice about skills, or otherwise.

A learner has a true mastery of each skill, as the smooth learner of ``learners``; every skill has items of five
difficulties. A right answer teaches more than a wrong one, and less the surer it was: so items that are neither
hopeless nor certain teach most, which the engine is not told. It sees answers alone, through the fold, and is asked as
the service is.
"""

from collections.abc import Callable, Mapping, Sequence
from math import exp
from random import Random
from statistics import mean
from typing import TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Day, Micros
from mastery_engine.domain.skills.next_answer.model import ItemAsked
from mastery_engine.domain.skills.next_answer.parameters import EVERYWHERE, AnswerModels
from mastery_engine.lab.simulate.learners import FIRST_DAY, SmoothLearner
from mastery_engine.lab.simulate.policies import GOAL
from mastery_engine.lab.simulate.served_student import ServedModels, ServedStudent
from mastery_engine.lab.skills.answer_files import AnswerGiven, AnswerRow
from mastery_engine.lab.skills.fit import fit_skills
from mastery_engine.lab.skills.next_answer.fit import fit

ANSWERS_A_DAY = 20
LONGEST = 6_000
TARGET = 0.75
HARDNESS = (-1.6, -0.8, 0.0, 0.8, 1.6)  # log-odds

_GUESS, _KNOWS, _STEEP = 0.10, 0.85, 6.0
_TAUGHT_BY_WRONG = 0.1


class SimulatedItem(msgspec.Struct, frozen=True):
    """An item of a simulated course; ``hardness`` is in log-odds, which only policies by the true model know."""

    item_id: str
    skill: str
    hardness: float


def items_of(curriculum: Curriculum, chance: Random) -> list[SimulatedItem]:
    """The items of a course: five for each skill, from easy to hard, in an order that says nothing of it."""
    return [
        SimulatedItem(f"{skill}/{place}", skill, hardness + chance.gauss(0.0, 0.3))
        for skill in curriculum.skills
        for place, hardness in enumerate(chance.sample(HARDNESS, len(HARDNESS)))
    ]


class ItemLearner(SmoothLearner):
    """A simulated learner who answers single items; as answers after pauses show, little is lost."""

    lasting = 0.8

    def chance_of(self, item: SimulatedItem, day: Day) -> float:
        """The true probability of a right answer on a day."""
        level = _STEEP * (self.masters(item.skill, day) - 0.5) - item.hardness
        return _GUESS + _KNOWS / (1.0 + exp(-level))

    def answer(self, item: SimulatedItem, day: Day) -> bool:
        """One answer, and what is learned from it."""
        probability = self.chance_of(item, day)
        is_right = self._chance.random() < probability
        self.learn(item.skill, day, 0.4 * (1.0 if is_right else _TAUGHT_BY_WRONG) * (1.0 - probability) ** 0.5)
        return is_right


def fitted_on_others(
    curriculum: Curriculum, items: Sequence[SimulatedItem], seed: int, *, students: int = 40, answers: int = 600
) -> ServedModels:
    """The engine's models of a school that had students before."""
    histories: list[list[AnswerGiven]] = []
    for number in range(students):
        learner, chance = _learner(curriculum, f"{seed}/other/{number}"), Random(f"{seed}/met/{number}")  # nosec B311
        history: list[AnswerGiven] = []
        for place in range(answers):
            item = chance.choice(items)
            at = _moment(place)
            history.append(AnswerGiven(item.item_id, (item.skill,), float(learner.answer(item, at // DAY)), at))
        histories.append(history)
    rows = [
        [AnswerRow(0, one.item_id, one.skills, int(one.right), one.at / SECOND) for one in history]
        for history in histories
    ]
    skills = fit_skills(rows)
    return ServedModels(skills, AnswerModels({EVERYWHERE: fit(histories, skills=skills, seed=seed)}))


Items: TypeAlias = Mapping[str, SimulatedItem]
ItemPolicy: TypeAlias = Callable[[ServedStudent, Items, ItemLearner, Micros, Random], SimulatedItem]


def _engine(student: ServedStudent, items: Items, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    """The first of the engine's items."""
    del learner, chance
    asked = [ItemAsked(item.item_id, (item.skill,)) for item in items.values()]
    return items[student.next_item(asked, at, TARGET)]


def _skills(student: ServedStudent, items: Items, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    """Any item of the skill that the engine's advice names first."""
    del learner
    skill = student.advised_skill(at)
    return chance.choice([item for item in items.values() if item.skill == skill])


def _random(student: ServedStudent, items: Items, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    del student, learner, at
    return chance.choice([*items.values()])


def _hardest(student: ServedStudent, items: Items, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    """The item that is least likely to be answered right, by the true model."""
    del student, chance
    return min(items.values(), key=lambda item: learner.chance_of(item, at // DAY))


def _at_target(student: ServedStudent, items: Items, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    """The item whose true chance is nearest to the target, by the true model: no engine can know it."""
    del student, chance
    return min(items.values(), key=lambda item: abs(learner.chance_of(item, at // DAY) - TARGET))


ITEM_POLICIES: Mapping[str, ItemPolicy] = {
    "engine": _engine,
    "skills": _skills,
    "random": _random,
    "hardest": _hardest,
    "target": _at_target,
}


class ItemPolicyOutcome(msgspec.Struct, frozen=True):
    """How a class fared. ``answers`` is the mean number until a learner's mean mastery was 0.75.

    ``reached`` counts the learners who came so far within 6,000 answers.
    """

    policy: str
    answers: float
    reached: int
    students: int


def item_course(
    policy: str,
    curriculum: Curriculum,
    items: Sequence[SimulatedItem],
    models: ServedModels,
    *,
    students: int,
    seed: int,
) -> ItemPolicyOutcome:
    """A class under a policy, each learner until the goal; the same seed is the same class, whatever the policy."""
    needed = []
    by_id = {item.item_id: item for item in items}
    for number in range(students):
        learner = _learner(curriculum, f"{seed}/{number}")
        student, chance = ServedStudent(curriculum, models), Random(f"{seed}/{number}/{policy}")  # nosec B311
        answers = 0
        while learner.mean(_moment(answers) // DAY) < GOAL and answers < LONGEST:
            at = _moment(answers)
            item = ITEM_POLICIES[policy](student, by_id, learner, at, chance)
            student.see([Answer(item.item_id, (item.skill,), learner.answer(item, at // DAY))], at)
            answers += 1
        needed.append(answers)
    return ItemPolicyOutcome(policy, round(mean(needed), 1), sum(one < LONGEST for one in needed), students)


def _learner(curriculum: Curriculum, seed: str) -> ItemLearner:
    return ItemLearner(curriculum, Random(seed))  # nosec B311


def _moment(answers: int) -> Micros:
    """When an answer is given: so many a day, a minute apart."""
    day, place = divmod(answers, ANSWERS_A_DAY)
    return (FIRST_DAY + day) * DAY + 12 * 60 * MINUTE + place * MINUTE
