"""Calls about cohorts and their figures."""

import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field, StringConstraints, field_validator

from mastery_engine.domain.cohorts.cohort import MOST_MEMBERS, Due
from mastery_engine.domain.moments import day_of_date
from mastery_engine.http.body import Body, Name, NamePath, StudentId
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key, json_body
from mastery_engine.http.openapi import KEYED, responds
from mastery_engine.responses.cohorts import CohortFigures, CohortRecord, Comparison
from mastery_engine.services.cohorts import PAGE

MOST_DUE = 1_000

router = APIRouter(route_class=EnvelopeRoute, tags=["cohorts"])


class DueWork(Body):
    """A day on which work is due; ``minutes`` is the amount of work."""

    due: datetime.date
    topic: Name | None = None
    kind: Name | None = None
    minutes: Annotated[int, Field(ge=1, le=100_000)] | None = None

    @field_validator("due")
    @classmethod
    def _since_1970(cls, value: datetime.date) -> datetime.date:
        if value.year < 1970:
            raise ValueError("must be 1970-01-01 or later")
        return value


class PutCohort(Body):
    """A cohort as an admin sets it: ``members`` lists all of them; without ``calendar`` the old one stays.

    ``course_id`` is the course that the cohort belongs to: else as before, or that of the events that named it.
    """

    name: Name
    members: Annotated[list[StudentId], Field(max_length=MOST_MEMBERS)]
    calendar: Annotated[list[DueWork], Field(max_length=MOST_DUE)] | None = None
    course_id: Name | None = None

    def due(self) -> list[Due] | None:
        if self.calendar is None:
            return None
        return [Due(day_of_date(work.due), work.topic, work.kind, work.minutes) for work in self.calendar]


class Compare(Body):
    """Which student to compare with which cohort, and by which metric."""

    student_id: StudentId
    cohort_id: Name
    metric: Literal["overall", "by_component"] = "overall"


class CohortAnalytics(Body):
    """Which cohort; ``limit`` and ``cursor`` page through those who need help."""

    cohort_id: Name
    limit: Annotated[int, Field(ge=1, le=1_000)] = 50
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None


@router.put("/cohorts/{cohort_id}", openapi_extra=responds(CohortRecord, limit=None) | KEYED)
async def set_cohort(
    engine: TheEngine, caller: Authenticated, request: Request, cohort_id: NamePath, body: PutCohort
) -> CohortRecord:
    """Set the members of a cohort; students left out stay out, whatever events say, until they are put in again."""
    key = idempotency_key(request, await json_body(request))
    return await engine.cohorts.put(
        caller, cohort_id, body.name, body.members, body.due(), course_id=body.course_id, key=key
    )


@router.get("/cohorts/{cohort_id}", openapi_extra=responds(CohortRecord, limit="analytics"))
async def cohort_members(
    engine: TheEngine,
    caller: Authenticated,
    cohort_id: NamePath,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> CohortRecord:
    """A cohort's name, members and calendar."""
    return await engine.cohorts.show(caller, cohort_id, limit=limit, cursor=cursor)


@router.post("/analytics/compare", openapi_extra=responds(Comparison, limit="analytics"))
async def compare(engine: TheEngine, caller: Authenticated, body: Compare) -> Comparison:
    """Where a student stands in a cohort: percentile and rank, overall or by component."""
    return await engine.standings.compare(caller, body.student_id, body.cohort_id, body.metric)


@router.post("/analytics/cohort", openapi_extra=responds(CohortFigures, limit="analytics"))
async def cohort(engine: TheEngine, caller: Authenticated, body: CohortAnalytics) -> CohortFigures:
    """The figures of a cohort: levels, component means, and who needs help and why."""
    return await engine.standings.cohort(caller, body.cohort_id, limit=body.limit, cursor=body.cursor)
