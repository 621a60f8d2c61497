"""Scores of those who have none in a gradebook yet: they joined the class late, or the gradebook has a new column."""

import asyncio
import logging
from collections.abc import Sequence

from mastery_engine.clock import Clock
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.evidence.shown import shown_score, whole_per_cent
from mastery_engine.domain.moments import MINUTE, SECOND, Micros
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import MasteryError, Unavailable
from mastery_engine.lti.contexts import ContextRecord, person_key
from mastery_engine.lti.grade_records import unpack_grades
from mastery_engine.lti.grades import LINE_ITEM_SCOPE, may_score
from mastery_engine.ports.registry import Entry, RegistryStore, RegistryWrite
from mastery_engine.services.courses import Courses
from mastery_engine.services.lti.classes import ContextClasses
from mastery_engine.services.lti.gradebooks import Gradebooks, GradeNow
from mastery_engine.services.lti.graded_contexts import GradedContext, GradedContexts
from mastery_engine.services.lti.grades import GradeCalls
from mastery_engine.services.lti.platforms import LtiPlatforms
from mastery_engine.services.students import Students

logger = logging.getLogger(__name__)

PAGE = 500
PAUSE_S, MOST_PAUSE_S = 5.0, 600.0
SHARE = 50  # of the time a look takes at most so small a part
COLUMN_AGAIN: Micros = 10 * MINUTE


class LateGrades:
    """Looks for learners without a score, and makes a column where a class has none."""

    def __init__(
        self,
        contexts: GradedContexts,
        registry: RegistryStore,
        gradebooks: Gradebooks,
        grades: GradeCalls,
        platforms: LtiPlatforms,
        classes: ContextClasses,
        students: Students,
        courses: Courses,
        clock: Clock,
    ) -> None:
        self._contexts = contexts
        self._registry = registry
        self._gradebooks = gradebooks
        self._grades = grades
        self._platforms = platforms
        self._classes = classes
        self._students = students
        self._courses = courses
        self._clock = clock

    async def keep_running(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            began = self._clock()
            try:
                await self.look()
            except Unavailable as error:
                logger.warning("scores of those who joined late wait: %s", error.message)
            took = (self._clock() - began) / SECOND
            await asyncio.sleep(min(max(PAUSE_S, SHARE * took), MOST_PAUSE_S))

    async def look(self) -> None:
        """Queue the present scores of all who have none. Raises Unavailable."""
        now = self._clock()
        await self._contexts.refresh(now)
        for record in self._contexts.records:
            if not record.line_items and may_score(record.scopes) and LINE_ITEM_SCOPE in record.scopes:
                await self._make_column(record, now)
        await self._contexts.read_learners(now)
        learners = self._contexts.learners()
        for context in self._contexts.graded:
            mine = learners.get(context.record.key, [])
            for start in range(0, len(mine), PAGE):
                await self._look_at(context, mine[start : start + PAGE], now)

    async def _look_at(self, context: GradedContext, learners: Sequence[StudentKey], now: Micros) -> None:
        record = context.record
        keys = [person_key(record.tenant, record.cohort_id, one.student_id) for one in learners]
        found = await self._registry.find("lti-grades", keys, now)
        late = [one for one, entry in zip(learners, found, strict=True) if _lacks(entry, context)]
        if late:
            await self._gradebooks.queue(await self._present(context, late, now), now)

    async def _present(self, context: GradedContext, late: Sequence[StudentKey], now: Micros) -> list[GradeNow]:
        """The scores of now of those who are known in the course."""
        course = CourseKey(context.record.tenant, context.course_id)
        rules = (await self._courses.of(course, now)).rules
        documents = await self._students.load([DocumentKey(*key, context.course_id) for key in late])
        return [
            GradeNow(
                context,
                key,
                whole_per_cent(shown_score(mastery_score(student.evidence, now, rules).score, rules)),
                min(student.updated, now),
            )
            for key, student in zip(late, documents, strict=True)
            if student.is_known(now, rules)
        ]

    async def _make_column(self, record: ContextRecord, now: Micros) -> None:
        """Make a column in a gradebook; one process tries it, and not again for a while."""
        claim = RegistryWrite(f"column/{record.key}", b"", expected=0, expires=now + COLUMN_AGAIN)
        if not (await self._registry.write("lti-once", [claim], now))[0]:
            return
        try:
            platform = await self._platforms.find(record.issuer, record.client_id, now)
            line_item = await self._grades.made_line_item(platform, record, now)
        except MasteryError as error:
            logger.warning("class %s gets no column in its gradebook: %s", record.cohort_id, error.message)
            return
        if line_item is not None:
            await self._classes.revise(record, now, line_items=(line_item,))


def _lacks(entry: Entry | None, context: GradedContext) -> bool:
    """Whether a score of this course is missing in a column."""
    if entry is None:
        return True
    record = unpack_grades(entry.value)
    return any(record.line(line_item).course_id != context.course_id for line_item in context.record.line_items)
