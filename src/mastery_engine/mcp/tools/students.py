"""Tools about several students."""

from typing import Annotated

from mcp.server import MCPServer
from mcp.types import CallToolResult
from pydantic import Field

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.errors import InvalidInput
from mastery_engine.mcp.context import READS, Course, StudentId, ToolContext, Whole, plainly
from mastery_engine.mcp.results import ClassResult, HelpResult, help_reasons


def add_students_tools(server: MCPServer, context: ToolContext) -> None:
    """Add the tool who_needs_help."""
    server.add_tool(StudentsTools(context).who_needs_help, annotations=READS)


class StudentsTools:
    """Each method is a tool: a model reads its signature and docstring."""

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._engine = context.engine

    async def who_needs_help(
        self,
        student_ids: Annotated[list[StudentId] | None, Field(description="default: a teacher's own students")] = None,
        limit: Annotated[Whole, Field(ge=1, le=50, description="how many to name")] = 5,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, ClassResult]:
        """Up to 200 students, or all of a teacher's own, at a glance: average, levels, who needs help most, and why."""
        caller, reports = self._context.who(), self._engine.reports
        with plainly():
            if not student_ids and not caller.students:
                raise InvalidInput("This token names no students: give the students to look at.", field="student_ids")
            glance = await (
                reports.glance(caller, student_ids, course_id=course_id)
                if student_ids
                else reports.own(caller, course_id=course_id)
            )
        need_help = [student for student in glance.students if student.reasons]
        result = ClassResult(
            students=len({student.student_id for student in glance.students}),
            average=glance.average,
            levels=glance.levels,
            need_help=len(need_help),
            first=[
                HelpResult(
                    student_id=student.student_id,
                    name=student.display_name,
                    course_id=None if student.course_id in (DEFAULT_COURSE, course_id) else student.course_id,
                    score=student.mastery_score,
                    trend=student.trend,
                    reasons=help_reasons(student.reasons),
                )
                for student in need_help[:limit]
            ],
            unknown=glance.unknown or None,
        )
        return await self._context.respond("who_needs_help", result)
