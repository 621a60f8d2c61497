"""Tools about one student's score."""

from typing import Annotated, Any

import msgspec
from mcp.server import MCPServer
from mcp.types import CallToolResult
from msgspec import UNSET
from pydantic import Field

from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.evidence.periods import Aggregation
from mastery_engine.mcp.context import READS, Course, Day, Flag, Share, StudentId, ToolContext, Whole
from mastery_engine.mcp.quoted import quoted
from mastery_engine.mcp.results import (
    ChangeResult,
    ContributionResult,
    CostResult,
    CourseResult,
    ExplanationResult,
    HistoryResult,
    MasteryResult,
    Parts,
    ScoreResult,
    SkillResult,
    SkillsResult,
)
from mastery_engine.responses.scores import CurrentMastery


def add_student_tools(server: MCPServer, context: ToolContext) -> None:
    """Add the tools get_mastery, what_if, explain_score, explain_change, get_history and get_skills."""
    tools = StudentTools(context)
    server.add_tool(tools.get_mastery, annotations=READS)
    server.add_tool(tools.what_if, annotations=READS)
    server.add_tool(tools.explain_score, annotations=READS)
    server.add_tool(tools.explain_change, annotations=READS)
    server.add_tool(tools.get_history, annotations=READS)
    server.add_tool(tools.get_skills, annotations=READS)


class StudentTools:
    """Each method is a tool: a model reads its signature and docstring."""

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._engine = context.engine

    async def get_mastery(
        self,
        student_id: StudentId,
        on: Annotated[Day | None, Field(description="as it was known on that day; today if left out")] = None,
        detail: Annotated[Flag, Field(description="also average, time and advice")] = False,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, MasteryResult]:
        """How well a student masters the course now: score 0-1, level, coverage, four components, trend.

        Start here for "what does she know" or "how is he doing". Low coverage means that little is known yet.
        """
        with self._context.plainly():
            known = await self._engine.scores.query(self._context.who(), student_id, course_id=course_id, on=on)
        more: dict[str, Any] = (
            {
                "historical_average": known.historical_average,
                "last_updated": known.last_updated,
                "recommendations": [
                    {**msgspec.to_builtins(advice), "area": quoted(advice.area), "reason": quoted(advice.reason)}
                    for advice in known.current_mastery.recommendations
                ],
            }
            if detail
            else {}
        )
        courses = known.courses or None
        if courses is not None:
            more["courses"] = [
                CourseResult(course_id=one.course_id, score=one.mastery_score, level=one.level) for one in courses
            ]
        shown = _score_result(student_id, known.current_mastery)
        result = MasteryResult(**dict(shown), trend=known.trend, **more)
        return await self._context.respond("get_mastery", result)

    async def what_if(
        self,
        student_id: StudentId,
        completion: Share | None = None,
        quiz: Share | None = None,
        quality: Share | None = None,
        consistency: Share | None = None,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, ScoreResult]:
        """The score that a student would have with other component values; the rest stays. Nothing is recorded.

        Use it for "what if he ..." and to compare plans.
        """
        given = ComponentValues(completion, quiz, quality, consistency)
        with self._context.plainly():
            calculated = await self._engine.scores.calculate(
                self._context.who(), student_id, given, course_id=course_id, record=False
            )
        return await self._context.respond("what_if", _score_result(student_id, calculated.current_mastery))

    async def explain_score(
        self,
        student_id: StudentId,
        detail: Annotated[Flag, Field(description="also what moves each component")] = False,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, ExplanationResult]:
        """Why a student's score is not higher: what each component costs, and what would reach the next level.

        Use it for "why this score" and "what should she do next": the first component costs the most.
        """
        with self._context.plainly():
            explanation = await self._engine.reports.explain(self._context.who(), student_id, course_id=course_id)
        result = ExplanationResult(
            score=explanation.mastery_score,
            level=explanation.level,
            next_level=explanation.next_level,
            missing_to_next_level=explanation.missing,
            costs=[
                CostResult(
                    component=cost.component,
                    score=cost.score,
                    cost=cost.cost,
                    no_evidence=None if cost.has_evidence else True,
                    needed_for_next_level=cost.needed,
                    what_moves_it=cost.what_moves_it if detail or place == 0 else None,
                )
                for place, cost in enumerate(explanation.costs)
            ],
        )
        return await self._context.respond("explain_score", result)

    async def explain_change(
        self,
        student_id: StudentId,
        days: Annotated[Whole, Field(ge=1, le=366, description="how many days back")] = 7,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, ChangeResult]:
        """Why a student's score went up or down: by component, and for 14 days by cause.

        Use it for "what happened" and "why did it fall".
        """
        caller = self._context.who()
        with self._context.plainly():
            changes = await self._engine.scores.changes(caller, student_id, course_id=course_id, days=days)
        result = ChangeResult(
            change=changes.change,
            contributions=[
                ContributionResult(
                    component=one.component,
                    change=one.change,
                    causes=[f"{cause.message}: {cause.change:+.4f}" for cause in one.causes],
                )
                for one in changes.contributions
                if one.change or one.causes
            ],
            note=changes.message,
        )
        return await self._context.respond("explain_change", result)

    async def get_history(
        self,
        student_id: StudentId,
        days: Annotated[Whole, Field(ge=1, le=366, description="how many days back")] = 30,
        detail: Annotated[Flag, Field(description="also the points")] = False,
        aggregation: Annotated[Aggregation, Field(description="of the points")] = "weekly",
        course_id: Course = None,
    ) -> Annotated[CallToolResult, HistoryResult]:
        """A student's past scores: trend, first, last, lowest, highest, average; points on request.

        Use it for "is he getting better".
        """
        caller = self._context.who()
        with self._context.plainly():
            shown = await self._engine.scores.history(
                caller, student_id, course_id=course_id, aggregation=aggregation if detail else "daily", days=days
            )
            now = await self._engine.scores.query(caller, student_id, course_id=course_id, with_components=False)
        points, summary = shown.history, shown.summary
        result = HistoryResult(
            trend=now.trend,
            first_score=points[0].mastery_score if points else None,
            last_score=points[-1].mastery_score if points else None,
            lowest=summary.lowest,
            highest=summary.highest,
            days_average=summary.average,
            points={point.date: point.mastery_score for point in points} if detail else None,
        )
        return await self._context.respond("get_history", result)

    async def get_skills(
        self,
        student_id: StudentId,
        limit: Annotated[Whole, Field(ge=1, le=50, description="how many of each")] = 3,
        course_id: Course = None,
    ) -> Annotated[CallToolResult, SkillsResult]:
        """A student's weakest and strongest skills (topics), with the chance of a right next answer.

        Use it to choose what to practise. Only skills with answers or exercises are named.
        """
        with self._context.plainly():
            states = (await self._engine.skills.of(self._context.who(), student_id, course_id=course_id)).skills
        skills = [
            SkillResult(
                skill=state.skill,
                right_next=state.probability,
                uncertainty=state.uncertainty,
                basis=state.basis,
                forgotten=state.forgotten,
                answers=state.answers,
            )
            for state in states
        ]
        weakest = skills[::-1][:limit]
        strongest = [skill for skill in skills[:limit] if skill not in weakest]
        return await self._context.respond(
            "get_skills", SkillsResult(known=len(skills), weakest=weakest, strongest=strongest)
        )


def _score_result(student_id: str, current: CurrentMastery) -> ScoreResult:
    parts = current.components
    values = {} if parts is UNSET else {name: getattr(parts, name) for name in Parts.model_fields}
    return ScoreResult(
        student_id=student_id,
        score=current.mastery_score,
        level=current.level,
        coverage=current.coverage,
        components=Parts(**values),
    )
