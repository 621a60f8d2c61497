"""Cohorts, and what can be said of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from mastery_engine.domain.cohorts.cohort import LONGEST_COHORT_ID
from mastery_engine.http.bodies_cohorts import CohortAnalytics, Compare, PutCohort
from mastery_engine.http.envelope_route import Authenticated, Face
from mastery_engine.http.openapi import answers
from mastery_engine.responses.cohorts import CohortFigures, CohortRecord, Comparison
from mastery_engine.services.cohorts import PAGE, Cohorts
from mastery_engine.services.standings import Standings

CohortPath = Annotated[str, Path(min_length=1, max_length=LONGEST_COHORT_ID)]

router = APIRouter(route_class=Face, tags=["cohorts"])


@router.put("/cohorts/{cohort_id}", openapi_extra=answers(CohortRecord))
async def put_cohort(caller: Authenticated, request: Request, cohort_id: CohortPath, body: PutCohort) -> CohortRecord:
    """Say who is in a cohort; who is left out stays out, whatever events say, until put in again."""
    cohorts: Cohorts = request.app.state.cohorts
    return await cohorts.put(caller, cohort_id, body.name, body.members, body.due())


@router.get("/cohorts/{cohort_id}", openapi_extra=answers(CohortRecord))
async def show_cohort(
    caller: Authenticated,
    request: Request,
    cohort_id: CohortPath,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> CohortRecord:
    """A cohort's name, members and calendar."""
    cohorts: Cohorts = request.app.state.cohorts
    return await cohorts.show(caller, cohort_id, limit=limit, cursor=cursor)


@router.post("/analytics/compare", openapi_extra=answers(Comparison))
async def compare(caller: Authenticated, request: Request, body: Compare) -> Comparison:
    """Where a student stands in a cohort: percentile and rank, overall or by component."""
    standings: Standings = request.app.state.standings
    return await standings.compare(caller, body.student_id, body.cohort_id, body.metric)


@router.post("/analytics/cohort", openapi_extra=answers(CohortFigures))
async def cohort_figures(caller: Authenticated, request: Request, body: CohortAnalytics) -> CohortFigures:
    """How a cohort fares: levels, component means, and who needs help and why."""
    standings: Standings = request.app.state.standings
    return await standings.cohort(caller, body.cohort_id, limit=body.limit, cursor=body.cursor)
