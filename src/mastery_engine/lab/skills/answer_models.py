"""The engine's models of the next answer, and those that people would use instead: all fit, then predict one by one."""

from collections.abc import Callable, Sequence
from math import exp, log1p
from typing import Protocol

import numpy as np
from msgspec import Struct, field

from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.moments import SECOND
from mastery_engine.domain.skills.knowledge import NO_KNOWLEDGE, with_answer
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.skills.next_answer.model import probabilities
from mastery_engine.domain.skills.next_answer.parameters import PRIOR, AnswerModel
from mastery_engine.lab.skills.answer_files import AnswerRow, given
from mastery_engine.lab.skills.bkt import Bkt
from mastery_engine.lab.skills.fit import chance_of, fit_skills
from mastery_engine.lab.skills.irt import OnlineIrt
from mastery_engine.lab.skills.logistic import Design, Logistic
from mastery_engine.lab.skills.next_answer.fit import fit, followed
from mastery_engine.lab.skills.served import ServedModel

ENGINE, SERVED = "engine", "served"


class FittedModel(Protocol):
    """Fits on students, each a list of answers in order; then predicts others' answers, each before it is shown."""

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None: ...

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        """The probability of a right answer, for each of one student's answers in turn."""
        ...


class NextAnswerModel:
    """The engine's model of the next answer to an item, by the functions that the service calls."""

    def __init__(self) -> None:
        self.model = PRIOR

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None:
        self.model = AnswerModel(fit([given(rows) for rows in students]))

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        return probabilities([known for _, known in followed(self.model, given(rows))], self.model)


class KnowledgeTracing:
    """The engine's knowledge tracing: what a student knows of a skill, with the difficulty of the item."""

    def __init__(self) -> None:
        self._model = SkillModel()

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None:
        self._model = fit_skills(students)

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        knowledge, predicted = NO_KNOWLEDGE, []
        for row in rows:
            at = round(row.at * SECOND)
            predicted.append(chance_of(knowledge, row.item_id, row.skills, at, self._model))
            knowledge = with_answer(knowledge, Answer(row.item_id, row.skills, bool(row.right)), at, self._model)
        return predicted


class Elo:
    """Elo with item difficulty and several skills, gains falling with the number of answers (Pelánek 2016)."""

    def __init__(self) -> None:
        self._items: dict[str, tuple[float, int]] = {}
        self._skills: dict[str, tuple[float, int]] = {}

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None:
        for rows in students:
            self._work(rows, learn=True)

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        return self._work(rows, learn=False)

    def _work(self, rows: Sequence[AnswerRow], *, learn: bool) -> list[float]:
        general = 0.0
        own: dict[str, tuple[float, int]] = {}
        predicted = []
        for answers, row in enumerate(rows):
            hard, tries = self._items.get(row.item_id, (0.0, 0))
            usual = [self._skills.get(name, (0.0, 0))[0] for name in row.skills]
            levels = [own.get(name, (0.0, 0)) for name in row.skills]
            logit = general - hard + (sum(usual) + sum(level for level, _ in levels)) / len(levels)
            probability = 1.0 / (1.0 + exp(-logit))
            predicted.append(probability)
            residual = row.right - probability
            general += residual * _gain(answers)
            for name, (level, number) in zip(row.skills, levels, strict=True):
                own[name] = (level + residual * _gain(number), number + 1)
            if learn:
                self._items[row.item_id] = (hard - residual * _gain(tries), tries + 1)
                for name in row.skills:
                    level, number = self._skills.get(name, (0.0, 0))
                    self._skills[name] = (level + residual * _gain(number), number + 1)
        return predicted


def _gain(number: int) -> float:
    return 1.0 / (1.0 + 0.05 * number)


class Regression:
    """Logistic regression on counts of what came before; ``terms`` says of an answer which weigh how much."""

    def __init__(self, terms: Callable[[AnswerRow, "AnswerCounts"], list[tuple[tuple[str, str], float]]]) -> None:
        self._terms = terms
        self._design = Design()
        self._fitted: Logistic | None = None

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None:
        rights = []
        for rows in students:
            counts = AnswerCounts()
            for row in rows:
                self._design.add(self._terms(row, counts))
                rights.append(float(row.right))
                counts.count(row)
        self._fitted = self._design.fit(np.array(rights))

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        if self._fitted is None:
            return [0.5] * len(rows)
        counts, predicted = AnswerCounts(), []
        for row in rows:
            predicted.append(self._fitted.probability(self._terms(row, counts)))
            counts.count(row)
        return predicted


class AnswerCounts(Struct):
    """A student's right and wrong answers so far: all, by skill and by item."""

    all: tuple[int, int] = (0, 0)
    by_skill: dict[str, tuple[int, int]] = field(default_factory=dict)
    by_item: dict[str, tuple[int, int]] = field(default_factory=dict)

    def count(self, row: AnswerRow) -> None:
        self.all = _counted(self.all, row)
        for name in row.skills:
            self.by_skill[name] = _counted(self.by_skill.get(name, (0, 0)), row)
        self.by_item[row.item_id] = _counted(self.by_item.get(row.item_id, (0, 0)), row)


def _counted(known: tuple[int, int], row: AnswerRow) -> tuple[int, int]:
    return known[0] + row.right, known[1] + 1 - row.right


def pfa(row: AnswerRow, counts: AnswerCounts) -> list[tuple[tuple[str, str], float]]:
    """Performance factors analysis: skills, and the right and wrong answers on each (Pavlik et al. 2009)."""
    terms = []
    for name in row.skills:
        right, wrong = counts.by_skill.get(name, (0, 0))
        terms += [(("skill", name), 1.0), (("right", name), float(right)), (("wrong", name), float(wrong))]
    return terms


def best_lr(row: AnswerRow, counts: AnswerCounts) -> list[tuple[tuple[str, str], float]]:
    """Best-LR: item, skills and the logarithms of counts, all, by skill and by item (Gervet et al. 2020)."""
    terms = [(("item", row.item_id), 1.0), *_logs("all", counts.all)]
    for name in row.skills:
        right, wrong = counts.by_skill.get(name, (0, 0))
        terms += [(("skill", name), 1.0), (("right", name), log1p(right)), (("wrong", name), log1p(wrong))]
    return terms + _logs("item", counts.by_item.get(row.item_id, (0, 0)))


def _logs(what: str, counted: tuple[int, int]) -> list[tuple[tuple[str, str], float]]:
    return [((what, "right"), log1p(counted[0])), ((what, "wrong"), log1p(counted[1]))]


def _pybkt() -> FittedModel:
    from mastery_engine.lab.skills.em_bkt import EmBkt

    return EmBkt()


def _dkt() -> FittedModel:
    from mastery_engine.lab.skills.deep.model import DeepTracing

    return DeepTracing()


MODELS: dict[str, Callable[[], FittedModel]] = {
    ENGINE: NextAnswerModel,
    SERVED: ServedModel,
    "tracing": KnowledgeTracing,
    "best_lr": lambda: Regression(best_lr),
    "pfa": lambda: Regression(pfa),
    "elo": Elo,
    "irt": OnlineIrt,
    "bkt": Bkt,
    "pybkt": _pybkt,
    "dkt": _dkt,
}
