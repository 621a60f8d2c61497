"""A simulated student as the service knows one: answers are folded into a document, and the document is asked."""

from collections.abc import Iterable

import msgspec

from mastery_engine.domain.advice.guidance import advice_for, advise, in_order
from mastery_engine.domain.advice.item_choice import best_items
from mastery_engine.domain.advice.next_items import prospects
from mastery_engine.domain.advice.recommendation import Recommendation
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.events.event import DEFAULT_TENANT, LearningEvent, Logged
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.moments import DAY, MINUTE, Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import Outlook, outlook_of
from mastery_engine.domain.skills.model import DEFAULT_SKILLS, SkillModel
from mastery_engine.domain.skills.next_answer.model import ItemAsked
from mastery_engine.domain.skills.next_answer.parameters import NO_ANSWER_MODELS, AnswerModels
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import apply

RULES = Rules()


class ServedModels(msgspec.Struct, frozen=True):
    """The models that the service answers by: those that the package brings, or fitted ones."""

    skills: SkillModel = DEFAULT_SKILLS
    answers: AnswerModels = NO_ANSWER_MODELS


SHIPPED = ServedModels()


class ServedStudent:
    """One student's document, moved by ``transition.apply`` alone, and what the service makes of it at a moment."""

    def __init__(self, curriculum: Curriculum, models: ServedModels = SHIPPED) -> None:
        self.curriculum = curriculum
        self._skills, self._answers = models.skills, models.answers
        self._student = NOBODY
        self._cold: IdsByDay = {}
        self._waiting: list[Logged] = []
        self._number = 0

    def see(self, answers: Iterable[Answer], at: Micros) -> None:
        """Answers given from a moment on, a minute apart; they are folded when the document is asked."""
        for answer in answers:
            event = LearningEvent(str(self._number), "simulated", at, at, answer)
            self._waiting.append(Logged(event, 0, self._number))
            self._number += 1
            at += MINUTE

    def document(self) -> Student:
        """The document after all answers seen."""
        if self._waiting:
            last = self._waiting[-1]
            done = apply(
                self._student,
                self._waiting,
                last.event.at,
                RULES,
                skills=self._skills,
                answers=self._answers,
                cold=self._cold,
                settled={0: last.offset},
                curriculum=self.curriculum,
            )
            self._student, self._waiting = done.student, []
            self._cold = self._cold if done.cold is None else done.cold
        return self._student

    def outlook(self, day: Day) -> Outlook:
        """What the student knows on a day."""
        known = self.document()
        return outlook_of(known.evidence, known.knowledge, self.curriculum, day, RULES, self._skills)

    def advice(self, at: Micros) -> list[Recommendation]:
        """All advice at a moment, best first, as ``/recommendations/adaptive`` gives it."""
        known, today = self.document(), at // DAY
        score = mastery_score(known.evidence, at, RULES)
        fresh = advice_for(known.guidance, known.evidence, score, self.outlook(today), today, RULES)
        held = known.guidance
        if held.advice.is_due(score, today):
            held = advise(held, known.evidence, score, today, self.curriculum, RULES, known.knowledge, self._skills)
        return in_order(held.advice.items, fresh)

    def advised_skill(self, at: Micros) -> str:
        """The skill that the first advice about a skill names."""
        skills = self.curriculum.skills
        return next((piece.area for piece in self.advice(at) if piece.area in skills), next(iter(skills)))

    def next_item(self, items: list[ItemAsked], at: Micros, target: float) -> str:
        """The item that comes first in ``/recommendations/items``."""
        model = self._answers.of(DEFAULT_TENANT)
        possible = prospects(self.document(), items, at, self.outlook(at // DAY), model, RULES)
        return best_items(possible, target=target, limit=1)[0].item_id
