"""The next answer as the service says it: answers become events, the fold moves the document, and the document is
asked."""

from collections.abc import Sequence

from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.domain.events.kinds import Answer
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.moments import DAY, SECOND, Day
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.model import DEFAULT_SKILLS
from mastery_engine.domain.skills.next_answer.model import ItemAsked
from mastery_engine.domain.skills.next_answer.parameters import EVERYWHERE, AnswerModels, AnswerParameters
from mastery_engine.domain.skills.next_answer.predictions import next_answers
from mastery_engine.domain.student import NOBODY
from mastery_engine.domain.transition import apply
from mastery_engine.lab.skills.answer_files import AnswerRow, given
from mastery_engine.lab.skills.next_answer.fit import fit

FIRST_DAY: Day = 20_454  # 2026-01-01: answers begin on a day that a service may see, by whole days


class ServedModel:
    """What the service answers, one answer at a time, through ``transition.apply`` and its own predictions."""

    def __init__(self) -> None:
        self._models = AnswerModels({})

    def fit(self, students: Sequence[Sequence[AnswerRow]]) -> None:
        self.use(fit([given(rows) for rows in students]))

    def use(self, parameters: AnswerParameters) -> None:
        """Take up parameters as the service does."""
        self._models = AnswerModels({EVERYWHERE: parameters})

    def predict(self, rows: Sequence[AnswerRow]) -> list[float]:
        student, rules = NOBODY, Rules()
        cold: IdsByDay = {}
        predicted: list[float] = []
        shift = FIRST_DAY * DAY - round(rows[0].at * SECOND) // DAY * DAY if rows else 0
        for place, row in enumerate(rows):
            at = max(round(row.at * SECOND) + shift, student.received)  # a log's receipts never go back
            event = LearningEvent(str(place), "student", at, at, Answer(row.item_id, row.skills, bool(row.right)))
            asked = [ItemAsked(row.item_id, row.skills)]
            model = self._models.of(event.tenant)
            predicted += [one.probability for one in next_answers(student, asked, at, model, DEFAULT_SKILLS, rules)]
            arrived = [Logged(event, 0, place)]
            done = apply(student, arrived, at, rules, answers=self._models, cold=cold, settled={0: place})
            student, cold = done.student, cold if done.cold is None else done.cold
        return predicted
