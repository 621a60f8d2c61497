"""How likely a student's next answers are right, by their document: the one function behind every door."""

from collections.abc import Sequence

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.next_answer.model import AnswerChance, ItemAsked, chances
from mastery_engine.domain.skills.next_answer.parameters import AnswerModel
from mastery_engine.domain.skills.next_answer.state import since
from mastery_engine.domain.student import Student


def next_answers(
    student: Student, asked: Sequence[ItemAsked], at: Micros, model: AnswerModel, rules: Rules
) -> list[AnswerChance]:
    """The chances of right answers to items at a moment, in their order; what is older than the retention does not
    count."""
    oldest = rules.start_of(rules.first_day(rules.day_of(at)))
    return chances(since(student.answers, oldest), asked, at, model)
