"""Recording of calculations: they are logged, then folded at once, so that the answer has the new state.

Where a caller names no course, the course is chosen once: a repeat of the call is recorded where the call was.
"""

from collections.abc import Sequence

from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import CalculationRequested, ComponentValues
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey, Student
from mastery_engine.errors import CourseRequired, Forbidden, MasteryError
from mastery_engine.services.consents import REFUSED, Consents
from mastery_engine.services.folding import Folding
from mastery_engine.services.idempotency import Claim, Idempotency
from mastery_engine.services.ingest import Ingest
from mastery_engine.services.students import StudentInCourse, Students
from mastery_engine.telemetry.tracing import Tracing

SOURCE = "mastery-engine"


class Recording:
    """Records components that callers give. The worker later meets the same events, which then change nothing."""

    def __init__(
        self,
        students: Students,
        ingest: Ingest,
        folding: Folding,
        consents: Consents,
        idempotency: Idempotency,
        tracing: Tracing,
    ) -> None:
        self._students = students
        self._ingest = ingest
        self._folding = folding
        self._consents = consents
        self._idempotency = idempotency
        self._tracing = tracing

    async def as_before(
        self,
        tenant: str,
        rows: Sequence[tuple[str, str, str | None]],
        found: Sequence[StudentInCourse | CourseRequired],
        now: Micros,
    ) -> list[StudentInCourse | CourseRequired]:
        """Where to record rows whose ids a repeat has too: (event id, student id, course named), each as found now.

        What was chosen for a row when it first came stays, whatever courses the student has by now. Raises Unavailable.
        """
        chosen = {
            event_id: None if isinstance(place, CourseRequired) else place.key.course_id
            for (event_id, _, course_id), place in zip(rows, found, strict=True)
            if course_id is None
        }
        first = await self._idempotency.first_courses(tenant, chosen, now) if chosen else {}
        places = list(found)
        moved = [n for n, (event_id, _, _) in enumerate(rows) if first.get(event_id) != chosen.get(event_id)]
        if moved:
            before = [(rows[n][1], first[rows[n][0]]) for n in moved]
            for n, place in zip(moved, await self._students.in_courses(tenant, before, now), strict=True):
                places[n] = place
        return places

    async def record(
        self,
        caller: Caller,
        rows: Sequence[tuple[str, DocumentKey, ComponentValues]],
        now: Micros,
        claim: Claim | None = None,
    ) -> list[Student | MasteryError]:
        """Log calculation requests (event id, student in a course, components) and fold them; the students, in order.

        Of two rows for one document the later one holds. In place of a student stands Forbidden where the student does
        not consent, though it be withdrawn meanwhile, and what made the fold fail. ``claim`` is called unless all rows
        are refused before they are logged. Raises Unavailable, and what ``claim`` raises.
        """
        await self._ingest.refresh_consent()
        events = [
            LearningEvent(
                event_id,
                key.student_id,
                now + place,
                now,
                CalculationRequested(given),
                key.tenant,
                SOURCE,
                course_id=key.course_id,
            )
            for place, (event_id, key, given) in enumerate(rows)
            if self._consents.state(key.student).processing
        ]
        logged = await self._ingest.submit(caller, events, "calculate", claim)
        with self._tracing.step("fold"):
            folded = await self._folding.fold(logged, now)
        errors = {one.event.event_id: _as_ours(error) for one, error in folded.failed}
        errors |= {one.event.event_id: Forbidden(REFUSED, field="student_id") for one in folded.refused}
        done = {event.event_id for event in events}.difference(errors)
        owners = {event.event_id: self._consents.owner_of(event) for event in events}
        return [
            (
                folded.students[owners[event_id]]
                if event_id in done
                else errors.get(event_id, Forbidden(REFUSED, field="student_id"))
            )
            for event_id, _, _ in rows
        ]


def _as_ours(error: Exception) -> MasteryError:
    """The error as one of ours; what it was is in the log."""
    if isinstance(error, MasteryError):
        return error
    return MasteryError(
        "This calculation was not recorded because of an internal error, which is in the service's log."
    )
