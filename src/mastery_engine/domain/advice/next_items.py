"""The items that could be answered next, by a student's document: the one function behind every door."""

from collections.abc import Sequence

from mastery_engine.domain.advice.item_choice import Prospect
from mastery_engine.domain.advice.recommend import gain_of_practice
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.estimates import Outlook
from mastery_engine.domain.skills.next_answer.model import ItemAsked, answers_since_right
from mastery_engine.domain.skills.next_answer.parameters import AnswerModel
from mastery_engine.domain.skills.next_answer.predictions import next_answers
from mastery_engine.domain.student import Student


def prospects(
    student: Student, items: Sequence[ItemAsked], at: Micros, view: Outlook, model: AnswerModel, rules: Rules
) -> list[Prospect]:
    """What is known of each item at a moment, in their order; ``view`` is what the student knows on that day."""
    expected = next_answers(student, items, at, model, view.model, rules)
    right_ago = answers_since_right(student.answers, [item.item_id for item in items])
    return [
        _prospect(item, chance.probability, ago, view)
        for item, chance, ago in zip(items, expected, right_ago, strict=True)
    ]


def _prospect(item: ItemAsked, probability: float, right_ago: int | None, view: Outlook) -> Prospect:
    skills = [name for name in item.skills if name in view.curriculum.skills]
    due = next((name for name in skills if name in view.estimates and view.estimates[name].needs_review), None)
    missing = next(
        (
            needed
            for name in skills
            for needed in view.curriculum.skills[name].prerequisites
            if not view.knows(needed) and needed not in skills
        ),
        None,
    )
    known = [view.estimate(name) for name in skills]
    return Prospect(
        item.item_id,
        next(iter(item.skills), None),
        probability,
        due,
        missing,
        is_mastered=due is None and bool(known) and all(one.is_mastered for one in known),
        gain=max(map(gain_of_practice, known), default=0.0),
        right_ago=right_ago,
    )
