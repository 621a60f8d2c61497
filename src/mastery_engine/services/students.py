"""Students: reads their documents for queries, each with the course that the question is about."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.domain.courses.choice import course_asked
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.courses.curriculum import Curriculum
from mastery_engine.domain.evidence.history import Point
from mastery_engine.domain.evidence.shown import shown_points, shown_scores
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, DocumentKey, Student, StudentKey
from mastery_engine.errors import CourseRequired, NotFound
from mastery_engine.ports.documents import DocumentReader, StoredDocument
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses

NO_DOCUMENT = StoredDocument(0, NOBODY)
NOTHING_KNOWN: Mapping[str, StoredDocument] = MappingProxyType({})
_DEFAULT_ALONE = frozenset((DEFAULT_COURSE,))


class StudentInCourse(msgspec.Struct, frozen=True):
    """A student in one course at a moment: the document, and what holds in the course.

    ``document`` is empty, with version 0, where there is none. ``courses`` are those in which something is known.
    ``today`` is the day of the moment in the course's time zone.
    """

    key: DocumentKey
    document: StoredDocument
    setup: CourseSetup
    now: Micros
    courses: Mapping[str, StoredDocument]
    today: Day

    @property
    def student(self) -> Student:
        return self.document.student

    @property
    def rules(self) -> Rules:
        return self.setup.rules

    @property
    def curriculum(self) -> Curriculum:
        return self.setup.curriculum

    @property
    def is_known(self) -> bool:
        """Whether anything is known about the student in this course."""
        return self.key.course_id in self.courses

    @property
    def first_day(self) -> Day:
        """The first day whose evidence counts."""
        return self.rules.first_day(self.today)

    def points(self, *, first: Day = 0, last: Day) -> list[Point]:
        """The daily points from ``first`` to ``last``, within the retention."""
        return shown_points(self.student.history, self.rules, first=max(first, self.first_day), last=last)

    def scores(self, *, last: Day) -> list[tuple[Day, float]]:
        """The days up to ``last``, within the retention, with their scores: quicker than ``points``."""
        rules = self.setup.rules
        return shown_scores(self.document.student.history, rules, first=rules.first_day(self.today), last=last)

    def with_student(self, student: Student) -> "StudentInCourse":
        """The same with the state of the student that a fold has just written."""
        return msgspec.structs.replace(self, document=StoredDocument(self.document.version + 1, student))


class Students:
    """Reads documents, which may be up to a second old."""

    def __init__(self, reader: DocumentReader, courses: Courses, consents: Consents) -> None:
        self._reader = reader
        self._courses = courses
        self._consents = consents

    async def load(self, keys: Sequence[DocumentKey]) -> list[Student]:
        """The students in the order of the keys; ``NOBODY`` if there is no document. Raises Unavailable."""
        return [NOBODY if one is None else one.student for one in await self._reader.load(keys)]

    async def has_documents(self, key: StudentKey) -> bool:
        """Whether anything is kept about a student in any course. Raises Unavailable."""
        return any(await self._reader.of_students([key]))

    async def in_course(
        self, caller: Caller, student_id: str, course_id: str | None, now: Micros, read: StudentInCourse | None = None
    ) -> StudentInCourse:
        """The student in a course: the given one, else their only one, else ``default`` if they are known there.

        ``read`` is what one call with several questions has read already: it is answered with where it is this student
        in this course at this moment.

        Raises CourseRequired where none of these is to be had, NotFound for a derived id whose evidence moved to
        another student, and Unavailable.
        """
        tenant = caller.tenant
        if read is not None and (read.key, read.now) == (DocumentKey(tenant, student_id, course_id or ""), now):
            return read
        await self._consents.check_reads(tenant, student_id, now)
        (stored,) = await self._reader.of_students([StudentKey(tenant, student_id)])
        if course_id is None and stored.keys() <= _DEFAULT_ALONE:  # most questions, which pay for no others
            setup = await self._courses.of(CourseKey(tenant), now)
            rules = setup.rules
            document = stored.get(DEFAULT_COURSE, NO_DOCUMENT)
            known = stored if document.student.is_known(now, rules) else NOTHING_KNOWN
            key = DocumentKey(tenant, student_id)
            return StudentInCourse(key, document, setup, now, known, rules.day_of(now))
        found = _chosen(
            tenant, student_id, course_id, stored, await self._setups(tenant, (course_id, *stored), now), now
        )
        if isinstance(found, CourseRequired):
            raise found
        return found

    async def in_courses(
        self, tenant: str, asked: Sequence[tuple[str, str | None]], now: Micros
    ) -> list[StudentInCourse | CourseRequired]:
        """The students (ids) in courses (or None), each as in ``in_course``, in order. Raises Unavailable."""
        stored = await self._reader.of_students([StudentKey(tenant, student_id) for student_id, _ in asked])
        setups = await self._setups(
            tenant, (*(course_id for _, course_id in asked), *(one for of in stored for one in of)), now
        )
        return [
            _chosen(tenant, student_id, course_id, documents, setups, now)
            for (student_id, course_id), documents in zip(asked, stored, strict=True)
        ]

    async def _setups(self, tenant: str, course_ids: Iterable[str | None], now: Micros) -> dict[str, CourseSetup]:
        """What holds in these courses, and in ``default``."""
        wanted = {DEFAULT_COURSE, *course_ids} - {None}
        found = await self._courses.of_many([CourseKey(tenant, one) for one in wanted if one is not None], now)
        return {key.course_id: setup for key, setup in found.items()}

    async def known(
        self, caller: Caller, student_id: str, course_id: str | None, now: Micros, read: StudentInCourse | None = None
    ) -> StudentInCourse:
        """As ``in_course``. Raises NotFound if nothing is known about the student there."""
        found = await self.in_course(caller, student_id, course_id, now, read)
        if not found.is_known:
            raise unknown_student()
        return found


def _chosen(
    tenant: str,
    student_id: str,
    course_id: str | None,
    documents: Mapping[str, StoredDocument],
    setups: Mapping[str, CourseSetup],
    now: Micros,
) -> StudentInCourse | CourseRequired:
    known = {one: stored for one, stored in documents.items() if stored.student.is_known(now, setups[one].rules)}
    try:
        chosen = course_asked(known) if course_id is None else course_id
    except CourseRequired as error:
        return error
    key = DocumentKey(tenant, student_id, chosen)
    setup = setups[chosen]
    return StudentInCourse(key, documents.get(chosen, NO_DOCUMENT), setup, now, known, setup.rules.day_of(now))


def unknown_student() -> NotFound:
    return NotFound("Nothing is known about this student yet.", field="student_id")
