"""Tools that take events, and show the status of an event."""

import json
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult
from pydantic import Field

from mastery_engine.errors import InvalidInput
from mastery_engine.mcp.context import READS, RECORDS, Course, EventId, StudentId, ToolContext
from mastery_engine.mcp.event_schema import EVENT
from mastery_engine.mcp.quoted import quoted, with_plain_ids
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
            Field(min_length=1, max_length=100, json_schema_extra={"items": EVENT}),
        ],
    ) -> Annotated[CallToolResult, IngestResult]:
        """Record what students did. Needs a token with the role service or admin. Durable once it answers.

        Give each event its own event_id: a repeated id counts once, so that a retry is safe.
        """
        caller = self._context.who()
        with self._context.plainly():
            values = [
                json.dumps(with_plain_ids(event)).encode() for event in events
            ]  # as sent, NaN and halves of characters too
            response = await self._engine.ingest.take(caller, values)
        receipts = response.results
        refused = [
            f"event {place}: {receipt.error.message}"
            for place, receipt in enumerate(receipts)
            if receipt.error is not None
        ]
        if refused and len(refused) == len(receipts):
            raise ToolError(f"{InvalidInput.code}: None of the events was taken: {'; '.join(map(quoted, refused))}")
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
        with self._context.plainly():
            state = await self._engine.ingest.status(self._context.who(), student_id, event_id, course_id=course_id)
        result = StatusResult(status=state.status, reason=state.reason.message if state.reason else None)
        return await self._context.respond("event_status", result)
