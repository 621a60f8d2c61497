"""Tools about several students."""

from collections.abc import Sequence
from typing import Annotated

from mcp.server import MCPServer
from mcp.types import CallToolResult
from pydantic import Field

from mastery_engine.auth.access import Caller
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.people.profile import LONGEST_DISPLAY_NAME
from mastery_engine.errors import InvalidInput
from mastery_engine.mcp.context import READS, Course, Cursor, Name, StudentId, ToolContext, Whole
from mastery_engine.mcp.hints import about_student
from mastery_engine.mcp.quoted import GivenBack
from mastery_engine.mcp.results import ClassResult, FoundResult, FoundStudents, HelpResult, NextCall, help_reasons
from mastery_engine.responses.people import FoundStudent


def add_students_tools(server: MCPServer, context: ToolContext) -> None:
    """Add the tools find_student and who_needs_help."""
    tools = StudentsTools(context)
    server.add_tool(tools.find_student, annotations=READS)
    server.add_tool(tools.who_needs_help, annotations=READS)


class StudentsTools:
    """Each method is a tool: a model reads its signature and docstring."""

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._engine = context.engine

    async def find_student(
        self,
        query: Annotated[
            str,
            GivenBack,
            Field(max_length=LONGEST_DISPLAY_NAME, description="words of name or id; or 'system id' elsewhere"),
        ],
        cohort_id: Annotated[Name | None, Field(description="only of this class")] = None,
        limit: Annotated[Whole, Field(ge=1, le=100)] = 10,
        cursor: Cursor = None,
    ) -> Annotated[CallToolResult, FoundStudents]:
        """The student_id of whoever is meant by a name; only of students whom you may see. An empty query finds all."""
        caller = self._context.who()
        with self._context.plainly():
            page = await self._engine.people.find(caller, query=query, cohort_id=cohort_id, limit=limit, cursor=cursor)
        result = FoundStudents(
            students=[
                FoundResult(student_id=one.student_id, name=one.display_name, cohort_ids=one.cohorts)
                for one in page.students
            ],
            cursor=page.next_cursor,
            next=await self._of_one(caller, page.students),
        )
        return await self._context.respond("find_student", result)

    async def _of_one(self, caller: Caller, found: Sequence[FoundStudent]) -> NextCall | None:
        """A question about the first who was found: of their score, in a course of theirs if they have any."""
        first = next(iter(found), None)
        if first is None:
            return None
        courses = await self._engine.people.courses_of(caller, first.student_id)
        if not courses:
            return None  # there is nothing to ask of a student without any event
        return about_student("get_mastery", first.student_id, None if len(courses) == 1 else courses[0])

    async def who_needs_help(
        self,
        student_ids: Annotated[list[StudentId] | None, Field(description="default: a teacher's own students")] = None,
        limit: Annotated[Whole, Field(ge=1, le=50, description="how many to name")] = 5,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, ClassResult]:
        """Who needs help most, and why: of up to 200 students, or of all of a teacher's own; average and levels too."""
        caller, reports = self._context.who(), self._engine.reports
        with self._context.plainly():
            if not student_ids and not caller.students:
                raise InvalidInput("Your token names no students: give the students to look at.", field="student_ids")
            glance = await (
                reports.glance(caller, student_ids, course_id=course_id)
                if student_ids
                else reports.own(caller, course_id=course_id)
            )
        need_help = [student for student in glance.students if student.reasons]
        result = ClassResult(
            size=len({student.student_id for student in glance.students}),
            average=glance.average,
            levels=glance.levels,
            need_help=len(need_help),
            first=[
                HelpResult(
                    student_id=student.student_id,
                    name=student.display_name,
                    course_id=None if student.course_id == course_id else _course_named(student.course_id),
                    score=student.mastery_score,
                    trend=student.trend,
                    reasons=help_reasons(student.reasons),
                )
                for student in need_help[:limit]
            ],
            unknown=glance.unknown or None,
            next=(
                about_student("recommend", need_help[0].student_id, _course_named(need_help[0].course_id))
                if need_help
                else None
            ),
        )
        return await self._context.respond("who_needs_help", result)


def _course_named(course_id: str) -> str | None:
    """A course as an answer names it: the default one by nothing."""
    return None if course_id == DEFAULT_COURSE else course_id
