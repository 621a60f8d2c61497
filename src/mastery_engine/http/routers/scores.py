"""Calls that query and calculate one student's score."""

import datetime

from fastapi import APIRouter, Request

from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.http.body import Body, OfStudent, Share
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key
from mastery_engine.http.openapi import KEYED, responds
from mastery_engine.responses.scores import Calculated, StudentMastery

router = APIRouter(route_class=EnvelopeRoute, tags=["mastery"])


class MasteryQuery(OfStudent):
    """Which student, and when: ``date`` asks for what was known on that day."""

    date: datetime.date | None = None
    include_components: bool = True


class GivenComponents(Body):
    """The given components; the others come from the evidence."""

    completion: Share | None = None
    quiz: Share | None = None
    quality: Share | None = None
    consistency: Share | None = None

    def values(self) -> ComponentValues:
        return ComponentValues(self.completion, self.quiz, self.quality, self.consistency)


class Calculate(OfStudent):
    """A calculation; recorded unless ``record`` is false, or the caller may not record."""

    components: GivenComponents = GivenComponents()
    record: bool | None = None


@router.post("/mastery/query", openapi_extra=responds(StudentMastery, limit="query"))
async def query(engine: TheEngine, caller: Authenticated, body: MasteryQuery) -> StudentMastery:
    """A student's mastery now, or as it was known on a day."""
    return await engine.scores.query(
        caller, body.student_id, course_id=body.course_id, on=body.date, with_components=body.include_components
    )


@router.post("/mastery/calculate", openapi_extra=responds(Calculated, limit="calculate") | KEYED)
async def calculate(engine: TheEngine, caller: Authenticated, request: Request, body: Calculate) -> Calculated:
    """The score with the given components, the others from the evidence; recorded unless ``record`` is false."""
    key, values = idempotency_key(request, await request.body()), body.components.values()
    return await engine.scores.calculate(
        caller, body.student_id, values, course_id=body.course_id, record=body.record, key=key
    )
