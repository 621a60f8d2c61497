"""How likely a student's next answers are right, by their document: the one function behind every door."""

from collections.abc import Sequence

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.model import SkillModel
from mastery_engine.domain.skills.next_answer.model import AnswerChance, ItemAsked, chances
from mastery_engine.domain.skills.next_answer.parameters import AnswerModel
from mastery_engine.domain.skills.next_answer.recall import Memory
from mastery_engine.domain.skills.next_answer.state import since
from mastery_engine.domain.student import Student


def next_answers(
    student: Student, asked: Sequence[ItemAsked], at: Micros, model: AnswerModel, skills: SkillModel, rules: Rules
) -> list[AnswerChance]:
    """The chances of right answers to items at a moment, in their order; what is older than the retention does not
    count. ``skills`` is the model that traced the student's knowledge."""
    oldest = rules.start_of(rules.first_day(rules.day_of(at)))
    memory = Memory(student.knowledge.since(oldest), skills)
    return chances(since(student.answers, oldest), asked, at, model, memory)
