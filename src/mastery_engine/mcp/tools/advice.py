"""Tools about forecasts, advice, learning paths and struggles."""

from typing import Annotated

from mcp.server import MCPServer
from mcp.types import CallToolResult
from pydantic import Field

from mastery_engine.domain.advice.learning_path import Goal
from mastery_engine.mcp.context import READS, Course, Name, StudentId, ToolContext, Whole
from mastery_engine.mcp.quoted import as_links
from mastery_engine.mcp.results import (
    AdvicePiece,
    AdviceResult,
    CalibrationResult,
    ForecastResult,
    ItemsResult,
    NextItem,
    NoticedResult,
    PathResult,
)


def add_advice_tools(server: MCPServer, context: ToolContext) -> None:
    """Add the tools forecast, recommend, next_items, learning_path and struggles."""
    tools = AdviceTools(context)
    server.add_tool(tools.forecast, annotations=READS)
    server.add_tool(tools.recommend, annotations=READS)
    server.add_tool(tools.next_items, annotations=READS)
    server.add_tool(tools.learning_path, annotations=READS)
    server.add_tool(tools.struggles, annotations=READS)


class AdviceTools:
    """Each method is a tool: a model reads its signature and docstring."""

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._engine = context.engine

    async def forecast(
        self,
        student_id: StudentId,
        days: Annotated[Whole, Field(ge=1, le=30)] = 7,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, ForecastResult]:
        """A student's score some days from now, with an 80% interval. Use it for "will he pass"."""
        with self._context.plainly():
            prediction = await self._engine.forecasts.next_days(
                self._context.who(), student_id, days, course_id=course_id
            )
        last, known = prediction.days[-1], prediction.calibration
        result = ForecastResult(
            now=prediction.current_score,
            then=prediction.predicted_score,
            lower=last.lower,
            upper=last.upper,
            expected_trend=prediction.trend,
            intervention_needed=prediction.intervention_needed,
            calibration=CalibrationResult(
                calibrated=known.calibrated,
                interval_held=known.coverage,
                student_weeks=known.student_weeks,
                as_of=known.as_of,
            ),
        )
        return await self._context.respond("forecast", result)

    async def recommend(
        self,
        student_id: StudentId,
        limit: Annotated[Whole, Field(ge=1, le=10)] = 3,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, AdviceResult]:
        """What a student should do next, why, and with what (links), best first. Works without any event too.

        Use it for "what next".
        """
        with self._context.plainly():
            advice = await self._engine.advice.recommendations(
                self._context.who(), student_id, course_id=course_id, limit=limit
            )
        result = AdviceResult(
            advice=[
                AdvicePiece(
                    recommendation_id=piece.recommendation_id,
                    action=piece.action,
                    area=piece.area,
                    priority=piece.priority,
                    minutes=piece.estimated_time,
                    gain=piece.expected_gain,
                    reason=piece.reason,
                    links=as_links(piece.resources),
                )
                for piece in advice
            ]
        )
        return await self._context.respond("recommend", result)

    async def next_items(
        self,
        student_id: StudentId,
        skill: Annotated[Name | None, Field(description="a skill or module; else the whole course")] = None,
        limit: Annotated[Whole, Field(ge=1, le=20)] = 3,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, ItemsResult]:
        """The items a student should answer next, best first, each with the chance that it is right, why, and links."""
        with self._context.plainly(skill):
            items = await self._engine.next_answers.items(
                self._context.who(), student_id, course_id=course_id, skill=skill, limit=limit
            )
        result = ItemsResult(
            items=[
                NextItem(
                    item_id=item.item_id,
                    title=item.title,
                    skill=item.skill,
                    right_next=item.probability,
                    reason=item.reason,
                    links=as_links([] if item.url is None else [item.url]),
                )
                for item in items
            ]
        )
        return await self._context.respond("next_items", result)

    async def learning_path(
        self,
        student_id: StudentId,
        topic: Annotated[Name | None, Field(description="a skill or module to master; else the whole course")] = None,
        limit: Annotated[Whole, Field(ge=1, le=50)] = 5,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, PathResult]:
        """The skills to learn next, in order, prerequisites first, with the expected day of completion."""
        goal: Goal = "improve_mastery" if topic is None else "master_topic"
        with self._context.plainly(topic):
            path = await self._engine.advice.path(self._context.who(), student_id, goal, topic, course_id=course_id)
        result = PathResult(
            skills=[step.skill for step in path.steps[:limit]],
            skills_in_all=len(path.steps),
            minutes=sum(step.minutes for step in path.steps),
            done_by=path.estimated_completion.expected,
        )
        return await self._context.respond("learning_path", result)

    async def struggles(
        self,
        student_id: StudentId,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, NoticedResult]:
        """The topics on which a student is stuck now, and habits that a tutor would notice, with the evidence."""
        with self._context.plainly():
            noticed = await self._engine.advice.patterns(self._context.who(), student_id, course_id=course_id)
        result = NoticedResult(
            stuck_on=[f"{struggle.topic} ({struggle.pattern}): {struggle.evidence}" for struggle in noticed.struggles],
            habits=[f"{habit.kind} ({habit.strength:.2f}): {habit.evidence}" for habit in noticed.patterns],
        )
        return await self._context.respond("struggles", result)
