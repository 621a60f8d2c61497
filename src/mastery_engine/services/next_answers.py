"""Single items: how likely the next answer is right, and which item to answer next."""

import asyncio
from collections.abc import Sequence

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.advice.item_choice import Prospect, best_items, reason_for
from mastery_engine.domain.advice.next_items import prospects
from mastery_engine.domain.courses.course import CourseItem, CourseSetup
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.moments import DAY, Micros, rfc3339
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
from mastery_engine.services.students import StudentInCourse

AHEAD_DAYS = 30
MOST_ITEMS, MOST_OFFERED = 100, 1_000
TARGET = 0.75


class NextAnswers:
    """Reads students, and predicts their answers by the model that the fold moves."""

    def __init__(self, profiling: Profiling, skills: Skills, models: Models, clock: Clock) -> None:
        self._profiling = profiling
        self._skills = skills
        self._models = models
        self._clock = clock

    async def predict(
        self,
        caller: Caller,
        student_id: str,
        items: Sequence[CourseItem],
        at: Micros | None = None,
        *,
        course_id: str | None = None,
    ) -> list[NextAnswer]:
        """The chances of right answers to 1 to 100 items, in their order, now or at another moment.

        An item without skills has those that the course names for it.

        Raises InvalidInput for a moment before the student's last answer or more than 30 days ahead, Forbidden, and
        Conflict without profiling.
        """
        now = caller.moment(self._clock)
        found = await self._profiling.known_or_nobody(caller, student_id, course_id, "next-answer", now)
        moment = now if at is None else _checked(at, found.student, now)
        return [
            NextAnswer(item.item_id, round(one.probability, 4), round(one.uncertainty, 4), one.basis)
            for item, one in zip(items, self._chances(found, items, moment), strict=True)
        ]

    async def items(
        self,
        caller: Caller,
        student_id: str,
        items: Sequence[CourseItem] | None = None,
        *,
        course_id: str | None = None,
        skill: str | None = None,
        limit: int = 5,
        target: float = TARGET,
        read: StudentInCourse | None = None,
    ) -> list[ItemToAnswer]:
        """The items to answer next, best first: of those given, or else of the course.

        ``target`` is the chance of a right answer that is wanted. Of more than a thousand items each takes its turn
        with what else the process answers. Raises InvalidInput if the course has no such skill, Forbidden, and Conflict
        without profiling.
        """
        now = caller.moment(self._clock)
        found = await self._profiling.known_or_nobody(caller, student_id, course_id, "next-items", now, read)
        offered = _offered(found.setup, items, skill)
        view = self._skills.outlook(found)
        by_id = {item.item_id: item for item in offered}
        model = self._models.answers.of(*found.key.course)
        asked = _asked(offered, found.setup)

        def chosen() -> list[Prospect]:
            possible = prospects(found.student, asked, now, view, model, found.rules)
            return best_items(possible, target=target, limit=limit)

        best = chosen() if len(asked) <= MOST_OFFERED else await asyncio.to_thread(chosen)
        return [
            ItemToAnswer(
                one.item_id,
                by_id[one.item_id].title,
                by_id[one.item_id].url,
                one.skill,
                round(one.probability, 4),
                reason_for(one, target=target),
            )
            for one in best
        ]

    def _chances(self, of: StudentInCourse, items: Sequence[CourseItem], at: Micros) -> list[AnswerChance]:
        models = self._models
        model = models.answers.of(*of.key.course)
        return next_answers(of.student, _asked(items, of.setup), at, model, models.skills, of.rules)


def _offered(course: CourseSetup, items: Sequence[CourseItem] | None, skill: str | None) -> list[CourseItem]:
    """The items to choose from, each once: those given, else the course's.

    Where the course has none either, each of its skills stands for its exercises. Of a ``skill`` or module, those that
    exercise it.
    """
    if items is None and course.items:
        found = _offered(course, list(course.items.values()), skill)
        if skill is not None and not found and not course.curriculum.skills_of(skill):
            raise _no_such_skill(skill)
        return found
    if items is None:
        wanted = course.curriculum.skills if skill is None else course.curriculum.skills_of(skill)
        if skill is not None and not wanted:
            raise _no_such_skill(skill)
        return [_of_skill(name, course.curriculum) for name in wanted]
    by_id = {item.item_id: item for item in items}
    if skill is None:
        return list(by_id.values())
    members = {skill, *course.curriculum.skills_of(skill)}
    return [item for item in by_id.values() if not members.isdisjoint(_skills_of(item, course))]


def _no_such_skill(skill: str) -> InvalidInput:
    return InvalidInput(
        f"The course has no skill or module {skill!r}: `mastery-engine curriculum show` lists them.", field="skill"
    )


def _skills_of(item: CourseItem, course: CourseSetup) -> tuple[str, ...]:
    """The skills of an item, as an answer to it in this course would have them."""
    skills = item.skills or course.skills_of_items.get(item.item_id, ())
    named = course.curriculum.named
    return tuple(dict.fromkeys([named.get(skill, skill) for skill in skills])) if named else skills


def _asked(items: Sequence[CourseItem], course: CourseSetup) -> list[ItemAsked]:
    return [ItemAsked(item.item_id, _skills_of(item, course)) for item in items]


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
