"""Tools about one student's score."""

from datetime import date, timedelta
from typing import Annotated

import msgspec
from mcp.server import MCPServer
from mcp.types import CallToolResult, ToolAnnotations
from msgspec import UNSET
from pydantic import Field

from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.evidence.periods import Aggregation
from mastery_engine.domain.moments import day_of, iso_date
from mastery_engine.mcp.context import Desk, Share, StudentId, plainly
from mastery_engine.mcp.results import (
    CostResult,
    ExplanationResult,
    HistoryResult,
    MasteryResult,
    Parts,
    SkillResult,
    SkillsResult,
)
from mastery_engine.responses.scores import CurrentMastery

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def add_student_tools(server: MCPServer, desk: Desk) -> None:
    """Mastery, what-if, explanation, history, skills."""

    @server.tool(annotations=READS)
    async def get_mastery(
        student_id: StudentId,
        on: Annotated[date | None, Field(description="as it was known on that day; today if left out")] = None,
        detail: Annotated[bool, Field(description="also average, time and advice")] = False,
    ) -> Annotated[CallToolResult, MasteryResult]:
        """How well a student masters the course now: score 0-1, level, coverage, four components, trend.

        Start here for "what does she know" or "how is he doing". A low coverage means that little is known yet.
        """
        with plainly():
            found = await desk.mastery.query(desk.who(), student_id, on=on)
        more = (
            {
                "historical_average": found.historical_average,
                "last_updated": found.last_updated,
                "recommendations": msgspec.to_builtins(found.current_mastery.recommendations),
            }
            if detail
            else {}
        )
        return await desk.told(
            "get_mastery", _mastery(student_id, found.current_mastery).model_copy(update={"trend": found.trend, **more})
        )

    @server.tool(annotations=READS)
    async def what_if(
        student_id: StudentId,
        completion: Share | None = None,
        quiz: Share | None = None,
        quality: Share | None = None,
        consistency: Share | None = None,
    ) -> Annotated[CallToolResult, MasteryResult]:
        """The score that a student would have with other component values; the rest as it is. Nothing is recorded.

        Use it for "will he pass if ..." and to compare plans.
        """
        given = ComponentValues(completion, quiz, quality, consistency)
        with plainly():
            found = await desk.mastery.calculate(desk.who(), student_id, given, record=False)
        return await desk.told("what_if", _mastery(student_id, found.current_mastery))

    @server.tool(annotations=READS)
    async def explain_score(
        student_id: StudentId,
        detail: Annotated[bool, Field(description="also what moves each component")] = False,
    ) -> Annotated[CallToolResult, ExplanationResult]:
        """Why a student's score is not higher: what each component costs, and what would reach the next level.

        Use it for "why this score" and "what should she do next": the first component costs the most.
        """
        with plainly():
            found = await desk.reports.explain(desk.who(), student_id)
        return await desk.told(
            "explain_score",
            ExplanationResult(
                score=found.mastery_score,
                level=found.level,
                next_level=found.next_level,
                missing_to_next_level=found.missing,
                costs=[
                    CostResult(
                        component=one.component,
                        score=one.score,
                        cost=one.cost,
                        no_evidence=None if one.has_evidence else True,
                        needed_for_next_level=one.needed,
                        what_moves_it=one.what_moves_it if detail or place == 0 else None,
                    )
                    for place, one in enumerate(found.costs)
                ],
            ),
        )

    @server.tool(annotations=READS)
    async def get_history(
        student_id: StudentId,
        days: Annotated[int, Field(ge=1, le=366, description="how many days back")] = 30,
        detail: Annotated[bool, Field(description="also the points")] = False,
        aggregation: Annotated[Aggregation, Field(description="of the points")] = "weekly",
    ) -> Annotated[CallToolResult, HistoryResult]:
        """How a student's score went: trend, first, last, lowest, highest, average; points on request.

        Use it for "is he getting better".
        """
        last = date.fromisoformat(iso_date(day_of(desk.mastery.clock())))
        with plainly():
            found = await desk.mastery.history(
                desk.who(), student_id, last - timedelta(days - 1), last, aggregation if detail else "daily"
            )
            now = await desk.mastery.query(desk.who(), student_id, with_components=False)
        shown, summary = found.history, found.summary
        return await desk.told(
            "get_history",
            HistoryResult(
                trend=now.trend,
                first=shown[0].mastery_score if shown else None,
                last=shown[-1].mastery_score if shown else None,
                lowest=summary.lowest,
                highest=summary.highest,
                average=summary.average,
                points={point.date: point.mastery_score for point in shown} if detail else None,
            ),
        )

    @server.tool(annotations=READS)
    async def get_skills(
        student_id: StudentId, limit: Annotated[int, Field(ge=1, le=50, description="how many of each")] = 3
    ) -> Annotated[CallToolResult, SkillsResult]:
        """Which skills (topics) a student has weakest and strongest, with the chance of a right next answer.

        Use it to choose what to practise. Only skills with answered questions are known.
        """
        with plainly():
            found = (await desk.skills.of(desk.who(), student_id)).skills
        told_of = [
            SkillResult(skill=one.skill, right_next=one.probability, forgotten=one.forgotten, answers=one.answers)
            for one in found
        ]
        weakest = told_of[::-1][:limit]
        return await desk.told(
            "get_skills",
            SkillsResult(
                known=len(found), weakest=weakest, strongest=[one for one in told_of[:limit] if one not in weakest]
            ),
        )


def _mastery(student_id: str, found: CurrentMastery) -> MasteryResult:
    parts = found.components
    values = {} if parts is UNSET else {name: getattr(parts, name) for name in Parts.model_fields}
    return MasteryResult(
        student_id=student_id,
        score=found.mastery_score,
        level=found.level,
        coverage=found.coverage,
        components=Parts(**values),
    )
