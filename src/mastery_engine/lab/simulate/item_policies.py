"""How many answers students need whose next item is chosen by the engine, by its advice about skills, or otherwise.

A learner has a true mastery of each skill, as in ``policies``; every skill has items of five difficulties. A right
answer teaches more than a wrong one, and less the surer it was: so items that are neither hopeless nor certain teach
most, which the engine is not told. It sees answers alone, through the fold's own functions.
"""

from collections.abc import Callable, Mapping, Sequence
from math import exp
from random import Random
from statistics import mean
from typing import TypeAlias

import msgspec

from mastery_engine.domain.advice.item_choice import Prospect, best_items
from mastery_engine.domain.advice.recommend import recommend
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.evidence.evidence import NO_EVIDENCE
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import Outlook, outlook_of
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE
from mastery_engine.domain.skills.knowledge import with_answer as traced
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.skills.next_answer.model import ItemAsked, answers_since_right, chances, with_answer
from mastery_engine.domain.skills.next_answer.parameters import AnswerModel
from mastery_engine.domain.skills.next_answer.recall import Memory
from mastery_engine.lab.simulate.policies import FIRST_DAY, GOAL, SimulatedLearner
from mastery_engine.lab.skills.answer_files import AnswerGiven, AnswerRow
from mastery_engine.lab.skills.fit import fit_skills
from mastery_engine.lab.skills.next_answer.fit import fit

ANSWERS_A_DAY = 20
LONGEST = 6_000
TARGET = 0.75
HARDNESS = (-1.6, -0.8, 0.0, 0.8, 1.6)  # log-odds
RULES = Rules()

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


class ItemLearner(SimulatedLearner):
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


class AnsweringStudent:
    """What the engine knows of a student who answers items, kept as the fold keeps it."""

    def __init__(self, curriculum: Curriculum, items: Sequence[SimulatedItem], models: "FittedModels") -> None:
        self.curriculum = curriculum
        self.items = items
        self._models = models
        self._knowledge = NO_KNOWLEDGE
        self._answers = b""

    def see(self, item: SimulatedItem, at: Micros, *, is_right: bool) -> None:
        answer = Answer(item.item_id, (item.skill,), is_right)
        memory = Memory(self._knowledge, self._models.skills)
        self._answers = with_answer(self._answers, answer, at, self._models.answers, memory)
        self._knowledge = traced(self._knowledge, answer, at, self._models.skills)

    def outlook(self, day: Day) -> Outlook:
        return outlook_of(NO_EVIDENCE, self._knowledge, self.curriculum, day, RULES, self._models.skills)

    def prospects(self, at: Micros) -> list[Prospect]:
        """All items as the service would rank them."""
        view = self.outlook(at // DAY)
        asked = [ItemAsked(item.item_id, (item.skill,)) for item in self.items]
        memory = Memory(self._knowledge, self._models.skills)
        expected = chances(self._answers, asked, at, self._models.answers, memory)
        ago = answers_since_right(self._answers, [item.item_id for item in self.items])
        found = []
        for item, one, since_right in zip(self.items, expected, ago, strict=True):
            skill = item.skill
            due = skill if skill in view.estimates and view.estimates[skill].needs_review else None
            needed = self.curriculum.skills[skill].prerequisites
            missing = next((name for name in needed if not view.knows(name)), None)
            done = due is None and view.estimate(skill).is_mastered
            known = view.chance(skill)
            found.append(Prospect(item.item_id, skill, one.probability, due, missing, done, known, since_right))
        return found


class FittedModels(msgspec.Struct, frozen=True):
    """The engine's models, fitted on answers of other students who met items at random."""

    skills: SkillModel
    answers: AnswerModel


def fitted_on_others(
    curriculum: Curriculum, items: Sequence[SimulatedItem], seed: int, *, students: int = 40, answers: int = 600
) -> FittedModels:
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
    return FittedModels(skills, AnswerModel(fit(histories, skills=skills, seed=seed)))


ItemPolicy: TypeAlias = Callable[[AnsweringStudent, ItemLearner, Micros, Random], SimulatedItem]


def _engine(student: AnsweringStudent, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    """The first of the engine's items."""
    del learner, chance
    by_id = {item.item_id: item for item in student.items}
    return by_id[best_items(student.prospects(at), target=TARGET, limit=1)[0].item_id]


def _skills(student: AnsweringStudent, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    """Any item of the skill that the engine's advice names first."""
    del learner
    advice = recommend(NO_EVIDENCE, (0.0, 0.0, 1.0, 1.0), student.outlook(at // DAY), at // DAY, RULES)
    skills = student.curriculum.skills
    skill = next((one.area for one in advice if one.area in skills), next(iter(skills)))
    return chance.choice([item for item in student.items if item.skill == skill])


def _random(student: AnsweringStudent, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    del learner, at
    return chance.choice(student.items)


def _hardest(student: AnsweringStudent, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    """The item that is least likely to be answered right, by the true model."""
    del chance
    return min(student.items, key=lambda item: learner.chance_of(item, at // DAY))


def _at_target(student: AnsweringStudent, learner: ItemLearner, at: Micros, chance: Random) -> SimulatedItem:
    """The item whose true chance is nearest to the target, by the true model: no engine can know it."""
    del chance
    return min(student.items, key=lambda item: abs(learner.chance_of(item, at // DAY) - TARGET))


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
    models: FittedModels,
    *,
    students: int,
    seed: int,
) -> ItemPolicyOutcome:
    """A class under a policy, each learner until the goal; the same seed is the same class, whatever the policy."""
    needed = []
    for number in range(students):
        learner = _learner(curriculum, f"{seed}/{number}")
        student, chance = AnsweringStudent(curriculum, items, models), Random(f"{seed}/{number}/{policy}")  # nosec B311
        answers = 0
        while learner.mean(_moment(answers) // DAY) < GOAL and answers < LONGEST:
            at = _moment(answers)
            item = ITEM_POLICIES[policy](student, learner, at, chance)
            student.see(item, at, is_right=learner.answer(item, at // DAY))
            answers += 1
        needed.append(answers)
    return ItemPolicyOutcome(policy, round(mean(needed), 1), sum(one < LONGEST for one in needed), students)


def _learner(curriculum: Curriculum, seed: str) -> ItemLearner:
    return ItemLearner(curriculum, Random(seed))  # nosec B311


def _moment(answers: int) -> Micros:
    """When an answer is given: so many a day, a minute apart."""
    day, place = divmod(answers, ANSWERS_A_DAY)
    return (FIRST_DAY + day) * DAY + 12 * 60 * MINUTE + place * MINUTE
