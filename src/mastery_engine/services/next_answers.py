"""Single items: how likely the next answer is right, and which item to answer next."""

from collections.abc import Sequence

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.advice.item_choice import best_items, reason_for
from mastery_engine.domain.advice.next_items import prospects
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.moments import DAY, Micros, rfc3339
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.skills.next_answer.model import (
    AnswerChance,
    ItemAsked,
    last_answer,
)
from mastery_engine.domain.skills.next_answer.predictions import next_answers
from mastery_engine.domain.student import Student
from mastery_engine.errors import InvalidInput
from mastery_engine.responses.next_answers import ItemToAnswer, NextAnswer
from mastery_engine.services.models import Models
from mastery_engine.services.profiling import Profiling
from mastery_engine.services.skills import Skills

AHEAD_DAYS = 30
MOST_ITEMS, MOST_OFFERED = 100, 1_000
TARGET = 0.75


class CourseItem(msgspec.Struct, frozen=True):
    """An item that may be asked: its skills, and what a student is shown of it."""

    item_id: str
    skills: tuple[str, ...] = ()
    title: str | None = None
    url: str | None = None


class NextAnswers:
    """Reads students, and predicts their answers by the model that the fold moves."""

    def __init__(
        self,
        profiling: Profiling,
        skills: Skills,
        models: Models,
        rules: Rules,
        curriculum: Curriculum,
        clock: Clock,
    ) -> None:
        self._profiling = profiling
        self._skills = skills
        self._models = models
        self._rules = rules
        self._curriculum = curriculum
        self._clock = clock

    async def predict(
        self, caller: Caller, student_id: str, items: Sequence[CourseItem], at: Micros | None = None
    ) -> list[NextAnswer]:
        """The chances of right answers to 1 to 100 items, in their order, now or at another moment.

        Raises InvalidInput for a moment before the student's last answer or more than 30 days ahead, Forbidden, and
        Conflict without profiling.
        """
        now = caller.moment(self._clock)
        student = await self._profiling.student_or_nobody(caller, student_id, "next-answer", now)
        moment = now if at is None else _checked(at, student, now)
        return [
            NextAnswer(item.item_id, round(one.probability, 4), round(one.uncertainty, 4), one.basis)
            for item, one in zip(items, self._chances(caller, student, items, moment), strict=True)
        ]

    async def items(
        self,
        caller: Caller,
        student_id: str,
        items: Sequence[CourseItem] | None = None,
        *,
        skill: str | None = None,
        limit: int = 5,
        target: float = TARGET,
    ) -> list[ItemToAnswer]:
        """The items to answer next, best first: of those given, or else of the course.

        ``target`` is the chance of a right answer that is wanted. Raises InvalidInput if the course has no such skill,
        Forbidden, and Conflict without profiling.
        """
        now = caller.moment(self._clock)
        student = await self._profiling.student_or_nobody(caller, student_id, "next-items", now)
        offered = self._offered(items, skill)
        view = self._skills.outlook(student, now)
        by_id = {item.item_id: item for item in offered}
        model = self._models.answers.of(caller.tenant)
        possible = prospects(student, _asked(offered), now, view, model, self._rules)
        return [
            ItemToAnswer(
                one.item_id,
                by_id[one.item_id].title,
                by_id[one.item_id].url,
                one.skill,
                round(one.probability, 4),
                reason_for(one, target=target),
            )
            for one in best_items(possible, target=target, limit=limit)
        ]

    def _chances(self, caller: Caller, student: Student, items: Sequence[CourseItem], at: Micros) -> list[AnswerChance]:
        models = self._models
        return next_answers(student, _asked(items), at, models.answers.of(caller.tenant), models.skills, self._rules)

    def _offered(self, items: Sequence[CourseItem] | None, skill: str | None) -> list[CourseItem]:
        """The items to choose from, each once; a skill of the course stands for its exercises where none are given."""
        if items is None:
            wanted = self._curriculum.skills if skill is None else self._curriculum.skills_of(skill)
            if not wanted:
                raise InvalidInput(
                    f"The course has no skill or module {skill!r}: `mastery-engine curriculum show` lists them.",
                    field="skill",
                )
            return [_of_skill(name, self._curriculum) for name in wanted]
        offered = {item.item_id: item for item in items if skill is None or skill in item.skills}
        return list(offered.values())


def _asked(items: Sequence[CourseItem]) -> list[ItemAsked]:
    return [ItemAsked(item.item_id, item.skills) for item in items]


def _of_skill(name: str, curriculum: Curriculum) -> CourseItem:
    return CourseItem(name, (name,), curriculum.skills[name].title, next(iter(curriculum.resources(name)), None))


def _checked(at: Micros, student: Student, now: Micros) -> Micros:
    last = last_answer(student.answers)
    if last is not None and at < last:
        raise InvalidInput(
            f"at is before the student's last answer ({rfc3339(last)}): what was known then is not kept. Give a later "
            "moment, or leave it out.",
            field="at",
        )
    if at > now + AHEAD_DAYS * DAY:
        raise InvalidInput(f"at is more than {AHEAD_DAYS} days ahead: give a nearer moment.", field="at")
    return at
