"""Tools about named classes."""

from typing import Annotated

import msgspec
from mcp.server import MCPServer
from mcp.types import CallToolResult
from pydantic import Field

from mastery_engine.auth.access import Caller
from mastery_engine.domain.cohorts.cohort import LONGEST_COHORT_ID
from mastery_engine.errors import InvalidInput
from mastery_engine.mcp.context import Desk, StudentId, plainly
from mastery_engine.mcp.results import (
    ClassRow,
    CohortResult,
    ComparedResult,
    ComparedStudent,
    HelpResult,
    Parts,
)
from mastery_engine.mcp.tools.student import READS

MOST_COHORTS = 10

CohortId = Annotated[str, Field(min_length=1, max_length=LONGEST_COHORT_ID, description="the class, as in py-101")]


def add_cohort_tools(server: MCPServer, desk: Desk) -> None:
    """Overview of a cohort, comparison of several."""

    @server.tool(annotations=READS)
    async def cohort_overview(
        cohort_id: CohortId, limit: Annotated[int, Field(ge=1, le=50)] = 5
    ) -> Annotated[CallToolResult, CohortResult]:
        """A named class: size, average, levels, who needs help most, with the reasons."""
        with plainly():
            found = await desk.standings.cohort(desk.who(), cohort_id, limit=limit)
        result = CohortResult(
            size=found.size,
            average=found.average,
            levels=found.level_distribution,
            need_help=found.at_risk_count,
            first=[
                HelpResult(
                    student_id=one.student_id,
                    score=one.mastery_score,
                    reasons=[reason.message for reason in one.reasons],
                )
                for one in found.at_risk
            ],
        )
        return await desk.told("cohort_overview", result)

    @server.tool(annotations=READS)
    async def compare(
        cohort_ids: Annotated[
            list[CohortId] | None,
            Field(min_length=1, max_length=MOST_COHORTS, description="a teacher's own where left out"),
        ] = None,
        student_id: StudentId | None = None,
    ) -> Annotated[CallToolResult, ComparedResult]:
        """Classes side by side; with student_id, where that student stands in each: rank 1 is the best.

        Use it for "compare classes" and "is she better than her class".
        """
        caller = desk.who()
        with plainly():
            chosen = cohort_ids or sorted(caller.cohorts)[:MOST_COHORTS]
            if not chosen:
                raise InvalidInput("This token names no classes of its own.", field="cohort_ids")
            if student_id is None:
                found = ComparedResult(classes=[await _class(desk, caller, one) for one in chosen])
            else:
                found = await _beside(desk, caller, student_id, chosen)
        return await desk.told("compare", found)


async def _class(desk: Desk, caller: Caller, cohort_id: str) -> ClassRow:
    found = await desk.standings.cohort(caller, cohort_id, limit=1)
    means = found.component_means
    return ClassRow(
        cohort_id=cohort_id,
        size=found.size,
        average=found.average,
        components=None if means is None else Parts(**msgspec.structs.asdict(means)),
        levels={level: number for level, number in found.level_distribution.items() if number},
        need_help=found.at_risk_count,
    )


async def _beside(desk: Desk, caller: Caller, student_id: str, cohort_ids: list[str]) -> ComparedResult:
    places = [await desk.standings.compare(caller, student_id, one, "by_component") for one in cohort_ids]
    parts = [msgspec.structs.asdict(one.components) for one in places if one.components is not None]
    first = places[0]
    own = Parts(**{name: place.student for name, place in parts[0].items()})
    return ComparedResult(
        student=ComparedStudent(score=first.student, level=first.level, components=own),
        classes=[
            ClassRow(
                cohort_id=one.cohort_id,
                size=one.size,
                average=one.cohort_average,
                components=Parts(**{name: place.cohort_average for name, place in means.items()}),
                rank=one.rank,
                percentile=one.percentile,
            )
            for one, means in zip(places, parts, strict=True)
        ],
    )
