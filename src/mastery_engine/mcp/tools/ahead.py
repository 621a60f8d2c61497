"""Tools about what comes: forecast, advice, path; and what is stuck."""

from typing import Annotated

from mcp.server import MCPServer
from mcp.types import CallToolResult
from pydantic import Field

from mastery_engine.mcp.context import Desk, StudentId, plainly
from mastery_engine.mcp.results import AdviceResult, ForecastResult, NoticedResult, PathResult
from mastery_engine.mcp.tools.student import READS


def add_ahead_tools(server: MCPServer, desk: Desk) -> None:
    """Forecast, recommendations, learning path, struggles."""

    @server.tool(annotations=READS)
    async def forecast(
        student_id: StudentId, days: Annotated[int, Field(ge=1, le=30)] = 7
    ) -> Annotated[CallToolResult, ForecastResult]:
        """Where a student's score will be in some days, with its 80% interval. Use it for "will he pass"."""
        with plainly():
            found = await desk.predictions.next_days(desk.who(), student_id, days)
        last = found.days[-1]
        result = ForecastResult(
            now=found.current_score,
            then=found.predicted_score,
            lower=last.lower,
            upper=last.upper,
            trend=found.trend,
            intervention_needed=found.intervention_needed,
        )
        return await desk.told("forecast", result)

    @server.tool(annotations=READS)
    async def recommend(
        student_id: StudentId, limit: Annotated[int, Field(ge=1, le=10)] = 3
    ) -> Annotated[CallToolResult, AdviceResult]:
        """What a student should do next and why, best first. Also for one who has only begun."""
        with plainly():
            found = await desk.advising.recommendations(desk.who(), student_id, limit=limit)
        steps = [f"{one.action} {one.area}, {one.estimated_time} min: {one.reason}" for one in found]
        return await desk.told("recommend", AdviceResult(steps=steps))

    @server.tool(annotations=READS)
    async def learning_path(
        student_id: StudentId,
        topic: Annotated[str | None, Field(description="a skill or module to master; else the way on")] = None,
        limit: Annotated[int, Field(ge=1, le=50)] = 5,
    ) -> Annotated[CallToolResult, PathResult]:
        """The skills to learn in order, prerequisites first, and the day by which it is done."""
        goal = "improve_mastery" if topic is None else "master_topic"
        with plainly():
            found = await desk.advising.path(desk.who(), student_id, goal, topic)  # type: ignore[arg-type]
        result = PathResult(
            skills=[one.skill for one in found.steps[:limit]],
            steps=len(found.steps),
            minutes=sum(one.minutes for one in found.steps),
            done_by=found.estimated_completion.expected,
        )
        return await desk.told("learning_path", result)

    @server.tool(annotations=READS)
    async def struggles(student_id: StudentId) -> Annotated[CallToolResult, NoticedResult]:
        """On what a student is stuck now, and habits that a tutor would notice, with the evidence."""
        with plainly():
            found = await desk.advising.patterns(desk.who(), student_id)
        result = NoticedResult(
            stuck_on=[f"{one.topic} ({one.pattern}): {one.evidence}" for one in found.struggles],
            habits=[f"{one.kind} ({one.strength:.2f}): {one.evidence}" for one in found.patterns],
        )
        return await desk.told("struggles", result)
