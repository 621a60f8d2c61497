"""Reading students for profiling: estimates, forecasts and advice need the student's consent."""

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.consents import Consents
from mastery_engine.services.students import NO_DOCUMENT, StudentInCourse, Students


class Profiling:
    """Reads students for callers who may see them, if the students consent to profiling.

    ``call`` is the name of the call in the audit trail; the course is chosen, and ``read`` used, as in ``Students``.
    Each method raises Forbidden, CourseRequired, and Conflict without consent to profiling.
    """

    def __init__(self, students: Students, access: AccessControl, consents: Consents) -> None:
        self._students = students
        self._access = access
        self._consents = consents

    async def known(
        self,
        caller: Caller,
        student_id: str,
        course_id: str | None,
        call: str,
        now: Micros,
        read: StudentInCourse | None = None,
    ) -> StudentInCourse:
        """The student in a course. Raises NotFound if nothing is known about them there."""
        await self._check(caller, student_id, call, now)
        return await self._students.known(caller, student_id, course_id, now, read)

    async def known_or_nobody(
        self,
        caller: Caller,
        student_id: str,
        course_id: str | None,
        call: str,
        now: Micros,
        read: StudentInCourse | None = None,
    ) -> StudentInCourse:
        """The student in a course; nobody there, if nothing is known about them."""
        await self._check(caller, student_id, call, now)
        found = await self._students.in_course(caller, student_id, course_id, now, read)
        return found if found.is_known else msgspec.structs.replace(found, document=NO_DOCUMENT)

    async def _check(self, caller: Caller, student_id: str, call: str, now: Micros) -> None:
        self._access.check_student(caller, Act.READ, student_id, call)
        await self._consents.check_profiling(StudentKey(caller.tenant, student_id), now)
