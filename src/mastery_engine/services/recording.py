"""Recording of calculations: they are logged, then folded at once, so that the answer has the new state."""

from collections.abc import Sequence

from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.events.kinds import CalculationRequested, ComponentValues
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import Student, StudentKey
from mastery_engine.errors import Forbidden
from mastery_engine.services.consents import REFUSED, Consents
from mastery_engine.services.folding import Folding
from mastery_engine.services.ingest import Ingest
from mastery_engine.telemetry.tracing import Tracing

SOURCE = "mastery-engine"


class Recording:
    """Records components that callers give. The worker later meets the same events, which then change nothing."""

    def __init__(self, ingest: Ingest, folding: Folding, consents: Consents, tracing: Tracing) -> None:
        self._ingest = ingest
        self._folding = folding
        self._consents = consents
        self._tracing = tracing

    async def record(
        self, caller: Caller, rows: Sequence[tuple[str, str, ComponentValues]], now: Micros
    ) -> list[Student]:
        """Log calculation requests (event id, student, components) and fold them; returns the students, in order.

        Of two rows for one student the later one holds. Raises Forbidden without the student's consent.
        """
        await self._ingest.refresh_consent()
        keys = [StudentKey(caller.tenant, student_id) for _, student_id, _ in rows]
        for key in keys:
            self._consents.check_processing(key)
        events = [
            LearningEvent(event_id, student_id, now + place, now, CalculationRequested(given), caller.tenant, SOURCE)
            for place, (event_id, student_id, given) in enumerate(rows)
        ]
        logged = await self._ingest.submit(caller, events, "calculate")
        with self._tracing.step("fold"):
            folded = await self._folding.fold(logged, now)
        for _, error in folded.failed:
            raise error
        if folded.refused:
            raise Forbidden(REFUSED, field="student_id")  # consent was withdrawn meanwhile
        return [folded.students[key] for key in keys]
