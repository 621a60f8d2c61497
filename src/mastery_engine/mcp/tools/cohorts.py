"""Tools about cohorts, which are called classes here."""

from typing import Annotated

import msgspec
from mcp.server import MCPServer
from mcp.types import CallToolResult
from pydantic import Field

from mastery_engine.auth.access import Caller
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.errors import InvalidInput
from mastery_engine.mcp.context import READS, Cursor, Name, StudentId, ToolContext, Whole
from mastery_engine.mcp.hints import about_class, about_student
from mastery_engine.mcp.results import (
    ClassList,
    ClassRow,
    CohortResult,
    ComparedResult,
    ComparedStudent,
    HelpResult,
    ListedClass,
    Parts,
    help_reasons,
)

MOST_COMPARED = 10

CohortId = Annotated[Name, Field(description="the class, such as py-101")]


def add_cohort_tools(server: MCPServer, context: ToolContext) -> None:
    """Add the tools list_classes, cohort_overview and compare."""
    tools = CohortTools(context)
    server.add_tool(tools.list_classes, annotations=READS)
    server.add_tool(tools.cohort_overview, annotations=READS)
    server.add_tool(tools.compare, annotations=READS)


class CohortTools:
    """Each method is a tool: a model reads its signature and docstring."""

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._cohorts = context.engine.cohorts
        self._standings = context.engine.standings

    async def list_classes(
        self, limit: Annotated[Whole, Field(ge=1, le=100)] = 20, cursor: Cursor = None
    ) -> Annotated[CallToolResult, ClassList]:
        """The classes that you may ask about: id, name, size. Start here if you know no ids."""
        caller = self._context.who()
        with self._context.plainly():
            page = await self._cohorts.listed(caller, limit=limit, cursor=cursor)
        result = ClassList(
            classes=[
                ListedClass(
                    cohort_id=one.cohort_id,
                    name=one.name,
                    course_id=None if one.course_id == DEFAULT_COURSE else one.course_id,
                    size=one.size,
                )
                for one in page.cohorts
            ],
            cursor=page.next_cursor,
            next=about_class(caller, page.cohorts[0].cohort_id) if page.cohorts else None,
        )
        return await self._context.respond("list_classes", result)

    async def cohort_overview(
        self, cohort_id: CohortId, limit: Annotated[Whole, Field(ge=1, le=50)] = 5
    ) -> Annotated[CallToolResult, CohortResult]:
        """One class: size, average, levels, and who needs help most, and why."""
        caller = self._context.who()
        with self._context.plainly():
            figures = await self._standings.cohort(caller, cohort_id, limit=limit)
            course_id = await self._cohorts.course_of(caller, cohort_id)
        result = CohortResult(
            size=figures.size,
            average=figures.average,
            levels=figures.level_distribution,
            need_help=figures.at_risk_count,
            first=[
                HelpResult(
                    student_id=student.student_id,
                    name=student.display_name,
                    score=student.mastery_score,
                    reasons=help_reasons(student.reasons),
                )
                for student in figures.at_risk
            ],
            next=(
                about_student(
                    "recommend", figures.at_risk[0].student_id, None if course_id == DEFAULT_COURSE else course_id
                )
                if figures.at_risk
                else None
            ),
        )
        return await self._context.respond("cohort_overview", result)

    async def compare(
        self,
        cohort_ids: Annotated[
            list[CohortId] | None,
            Field(min_length=1, max_length=MOST_COMPARED, description="default: a teacher's own classes"),
        ] = None,
        student_id: StudentId | None = None,
    ) -> Annotated[CallToolResult, ComparedResult]:
        """Classes side by side; with student_id, the student's rank in each: 1 is the best.

        Use it for "compare classes" and "is she better than her class".
        """
        caller = self._context.who()
        with self._context.plainly():
            chosen = cohort_ids or sorted(caller.cohorts)[:MOST_COMPARED]
            if not chosen:
                raise InvalidInput("Your token names no classes: give the classes to compare.", field="cohort_ids")
            if student_id is None:
                result = ComparedResult(classes=[await self._class(caller, cohort_id) for cohort_id in chosen])
            else:
                result = await self._beside(caller, student_id, chosen)
        return await self._context.respond("compare", result)

    async def _class(self, caller: Caller, cohort_id: str) -> ClassRow:
        figures = await self._standings.cohort(caller, cohort_id, limit=1)
        means = figures.component_means
        return ClassRow(
            cohort_id=cohort_id,
            size=figures.size,
            average=figures.average,
            components=None if means is None else Parts(**msgspec.structs.asdict(means)),
            levels={level: number for level, number in figures.level_distribution.items() if number},
            need_help=figures.at_risk_count,
        )

    async def _beside(self, caller: Caller, student_id: str, cohort_ids: list[str]) -> ComparedResult:
        """A student compared with each of these classes."""
        comparisons = [
            await self._standings.compare(caller, student_id, cohort_id, "by_component") for cohort_id in cohort_ids
        ]
        parts = [
            msgspec.structs.asdict(comparison.components)
            for comparison in comparisons
            if comparison.components is not None
        ]
        first = comparisons[0]
        own = Parts(**{name: place.student for name, place in parts[0].items()})
        return ComparedResult(
            student=ComparedStudent(score=first.student, level=first.level, components=own),
            classes=[
                ClassRow(
                    cohort_id=comparison.cohort_id,
                    size=comparison.size,
                    average=comparison.cohort_average,
                    components=Parts(**{name: place.cohort_average for name, place in places.items()}),
                    rank=comparison.rank,
                    percentile=comparison.percentile,
                )
                for comparison, places in zip(comparisons, parts, strict=True)
            ],
        )
