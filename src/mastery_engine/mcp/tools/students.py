"""Tools about several students, and events in."""

from collections import Counter
from typing import Annotated, Any

import msgspec
from mcp.server import MCPServer
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field

from mastery_engine.errors import InvalidInput
from mastery_engine.mcp.context import Desk, StudentId, plainly
from mastery_engine.mcp.results import ClassResult, HelpResult, IngestResult, StatusResult
from mastery_engine.mcp.tools.student import READS


def add_class_tools(server: MCPServer, desk: Desk) -> None:
    """Who needs help."""

    @server.tool(annotations=READS)
    async def who_needs_help(
        student_ids: Annotated[
            list[StudentId] | None, Field(description="whom to look at; a teacher's own where left out")
        ] = None,
        limit: Annotated[int, Field(ge=1, le=50, description="how many to name")] = 5,
    ) -> Annotated[CallToolResult, ClassResult]:
        """Up to 200 students, or all of a teacher's own, at a glance: average, levels, who needs help most, and why."""
        caller = desk.who()
        with plainly():
            if not student_ids and not caller.students:
                raise InvalidInput("This token names no students of its own.", field="student_ids")
            found = await (desk.reports.glance(caller, student_ids) if student_ids else desk.reports.own(caller))
        need = [one for one in found.students if one.reasons]
        return await desk.told(
            "who_needs_help",
            ClassResult(
                students=len(found.students),
                average=found.average,
                levels=dict(Counter(one.level for one in found.students)),
                need_help=len(need),
                first=[
                    HelpResult(student_id=one.student_id, score=one.mastery_score, trend=one.trend, reasons=one.reasons)
                    for one in need[:limit]
                ],
                unknown=found.unknown or None,
            ),
        )


def add_event_tools(server: MCPServer, desk: Desk) -> None:
    """Events in, and what became of them."""

    @server.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True))
    async def ingest_events(
        events: Annotated[
            list[Any],  # whatever one of them is, the others are taken
            Field(
                min_length=1,
                max_length=100,
                description='each {"event_id", "event_type", "student_id", "timestamp", "data"}; event_type completion '
                "{total_exercises, completed_exercises, difficulty}, quiz {total_questions, correct_answers}, quality "
                "{code_quality_score, correctness_score, efficiency_score}, answer {item_id, skills, correct}, ...",
            ),
        ],
    ) -> Annotated[CallToolResult, IngestResult]:
        """Record what students did. Needs a token of role service or admin. Durable once it answers.

        Give each event an event_id of your own: the same id again counts once, so that a retry is safe.
        """
        with plainly():
            found = await desk.mastery.ingest(desk.who(), [msgspec.json.encode(one) for one in events])
        refused = [
            f"event {place}: {one.error.message}" for place, one in enumerate(found.results) if one.error is not None
        ]
        ids = [str(one.event_id) for one in found.results if one.error is None]
        return await desk.told(
            "ingest_events", IngestResult(accepted=found.accepted, event_ids=ids, refused=refused or None)
        )

    @server.tool(annotations=READS)
    async def event_status(
        student_id: StudentId, event_id: Annotated[str, Field(min_length=1, max_length=100)]
    ) -> Annotated[CallToolResult, StatusResult]:
        """Whether an event counts already: processed, dead_lettered (with the reason), or not_processed yet."""
        with plainly():
            found = await desk.mastery.event_status(desk.who(), student_id, event_id)
        return await desk.told(
            "event_status", StatusResult(status=found.status, reason=found.reason.message if found.reason else None)
        )
