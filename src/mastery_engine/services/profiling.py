"""Reading students for profiling: estimates, forecasts and advice need the student's consent."""

from mastery_engine.auth.access import Act, Caller
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, Student, StudentKey
from mastery_engine.ports.documents import StoredDocument
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.consents import Consents
from mastery_engine.services.students import Students


class Profiling:
    """Reads students for callers who may see them, if the students consent to profiling.

    ``call`` is the name of the call in the audit trail. Each method raises Forbidden, and Conflict without consent to
    profiling.
    """

    def __init__(self, students: Students, access: AccessControl, consents: Consents, rules: Rules) -> None:
        self._students = students
        self._access = access
        self._consents = consents
        self._rules = rules

    async def document(self, caller: Caller, student_id: str, call: str, now: Micros) -> StoredDocument:
        """The student's document. Raises NotFound if nothing is known about the student."""
        await self._check(caller, student_id, call, now)
        return await self._students.known_document(caller, student_id, now)

    async def student(self, caller: Caller, student_id: str, call: str, now: Micros) -> Student:
        """As ``document``, without the document's version."""
        return (await self.document(caller, student_id, call, now)).student

    async def student_or_nobody(self, caller: Caller, student_id: str, call: str, now: Micros) -> Student:
        """The student; ``NOBODY`` if nothing is known about the student."""
        await self._check(caller, student_id, call, now)
        (student,) = await self._students.load(caller, [student_id])
        return student if student.is_known(now, self._rules) else NOBODY

    async def _check(self, caller: Caller, student_id: str, call: str, now: Micros) -> None:
        self._access.check_student(caller, Act.READ, student_id, call)
        await self._consents.check_profiling(StudentKey(caller.tenant, student_id), now)
