"""Tools that take events, and show the status of an event."""

import json
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.types import CallToolResult
from pydantic import Field

from mastery_engine.mcp.context import READS, RECORDS, Course, EventId, StudentId, ToolContext, plainly
from mastery_engine.mcp.quoted import with_plain_ids
from mastery_engine.mcp.results import IngestResult, StatusResult


def add_event_tools(server: MCPServer, context: ToolContext) -> None:
    """Add the tools ingest_events and event_status."""
    tools = EventTools(context)
    server.add_tool(tools.ingest_events, annotations=RECORDS)
    server.add_tool(tools.event_status, annotations=READS)


class EventTools:
    """Each method is a tool: a model reads its signature and docstring."""

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._engine = context.engine

    async def ingest_events(
        self,
        events: Annotated[
            list[Any],  # any value, so that one bad event does not refuse the others
            Field(
                min_length=1,
                max_length=100,
                description='each {"event_id", "event_type", "student_id", "timestamp", "data"}; event_type completion '
                "{total_exercises, completed_exercises, difficulty}, quiz {total_questions, correct_answers}, quality "
                "{code_quality_score, correctness_score, efficiency_score}, answer {item_id, skills, correct}, ...",
            ),
        ],
    ) -> Annotated[CallToolResult, IngestResult]:
        """Record what students did. Needs a token with the role service or admin. Durable once it answers.

        Give each event its own event_id: a repeated id counts once, so that a retry is safe.
        """
        with plainly():
            values = [
                json.dumps(with_plain_ids(event)).encode() for event in events
            ]  # as sent, NaN and halves of characters too
            response = await self._engine.ingest.take(self._context.who(), values)
        receipts = response.results
        refused = [
            f"event {place}: {receipt.error.message}"
            for place, receipt in enumerate(receipts)
            if receipt.error is not None
        ]
        event_ids = [str(receipt.event_id) for receipt in receipts if receipt.error is None]
        ignored = [
            f"event {place}: {', '.join(receipt.ignored)}" for place, receipt in enumerate(receipts) if receipt.ignored
        ]
        result = IngestResult(
            accepted=response.accepted, event_ids=event_ids, refused=refused or None, ignored=ignored or None
        )
        return await self._context.respond("ingest_events", result)

    async def event_status(
        self, student_id: StudentId, event_id: EventId, course_id: Course = None
    ) -> Annotated[CallToolResult, StatusResult]:
        """The status of an event: processed, dead_lettered (with the reason), or not_processed yet."""
        with plainly():
            state = await self._engine.ingest.status(self._context.who(), student_id, event_id, course_id=course_id)
        result = StatusResult(status=state.status, reason=state.reason.message if state.reason else None)
        return await self._context.respond("event_status", result)
