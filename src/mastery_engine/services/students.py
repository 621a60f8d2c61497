"""Students: reads their documents for queries."""

from collections.abc import Sequence

from mastery_engine.auth.access import Caller
from mastery_engine.domain.evidence.history import Point
from mastery_engine.domain.evidence.shown import shown_points, shown_scores
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, DocumentKey, Student
from mastery_engine.errors import NotFound
from mastery_engine.ports.documents import DocumentReader, StoredDocument

NO_DOCUMENT = StoredDocument(0, NOBODY)


class Students:
    """Reads documents, which may be up to a second old."""

    def __init__(self, reader: DocumentReader, rules: Rules) -> None:
        self._reader = reader
        self._rules = rules

    async def documents(self, tenant: str, student_ids: Sequence[str]) -> list[StoredDocument]:
        """The documents in the order of the ids; an empty one with version 0 if there is none. Raises Unavailable."""
        stored = await self._reader.load([DocumentKey(tenant, student_id) for student_id in student_ids])
        return [NO_DOCUMENT if document is None else document for document in stored]

    async def load(self, caller: Caller, student_ids: Sequence[str]) -> list[Student]:
        """The students in the order of the ids; ``NOBODY`` if there is no document. Raises Unavailable."""
        return [document.student for document in await self.documents(caller.tenant, student_ids)]

    async def known_document(self, caller: Caller, student_id: str, now: Micros) -> StoredDocument:
        """The student's document. Raises NotFound if nothing is known about the student."""
        (document,) = await self.documents(caller.tenant, [student_id])
        if not document.student.is_known(now, self._rules):
            raise unknown_student()
        return document

    async def known(self, caller: Caller, student_id: str, now: Micros) -> Student:
        """As ``known_document``, without the document's version."""
        return (await self.known_document(caller, student_id, now)).student

    def points(self, student: Student, now: Micros, *, first: Day = 0, last: Day) -> list[Point]:
        """The daily points from ``first`` to ``last``, within the retention."""
        return shown_points(student.history, self._rules, first=max(first, self.first_day(now)), last=last)

    def scores(self, student: Student, now: Micros, *, last: Day) -> list[tuple[Day, float]]:
        """The days up to ``last``, within the retention, with their scores: quicker than ``points``."""
        return shown_scores(student.history, self._rules, first=self.first_day(now), last=last)

    def day_of(self, now: Micros) -> Day:
        """The day of a moment."""
        return self._rules.day_of(now)

    def first_day(self, now: Micros) -> Day:
        """The first day whose evidence counts."""
        return self._rules.first_day(self._rules.day_of(now))


def unknown_student() -> NotFound:
    return NotFound("Nothing is known about this student yet.", field="student_id")
