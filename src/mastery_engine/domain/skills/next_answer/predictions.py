"""How likely a student's next answers are right, by their document: the one function behind every door."""

from collections.abc import Sequence

from mastery_engine.domain.moments import Micros, day_of
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
    return chances(since(student.answers, day_of(at) - rules.retention_days + 1), asked, at, model)
