"""Calls about advice, learning paths and patterns."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from mastery_engine.domain.advice.learning_path import Goal
from mastery_engine.domain.advice.recommendation import Priority
from mastery_engine.http.body import Body, Name, OfStudent, StudentId
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine
from mastery_engine.http.openapi import responds
from mastery_engine.responses.advice import LearningPath, Recommended, StudentPatterns

router = APIRouter(route_class=EnvelopeRoute, tags=["recommendations"])


class Advise(Body):
    """Which student; the most recommendations, and the lowest priority."""

    student_id: StudentId
    limit: Annotated[int, Field(ge=1, le=10)] = 5
    priority: Priority = "low"


class FindPath(Body):
    """Which student, and the goal. ``topic`` is a skill or a module of the course; ``master_topic`` needs one."""

    student_id: StudentId
    goal: Goal = "improve_mastery"
    topic: Name | None = None


@router.post("/recommendations/adaptive", openapi_extra=responds(Recommended, many=True, limit="recommendations"))
async def adaptive(engine: TheEngine, caller: Authenticated, body: Advise) -> list[Recommended]:
    """What to do next, ranked by the gain of mastery per minute; a student without events is advised where to start."""
    return await engine.advice.recommendations(caller, body.student_id, limit=body.limit, priority=body.priority)


@router.post("/recommendations/learning-path", openapi_extra=responds(LearningPath, limit="recommendations"))
async def path(engine: TheEngine, caller: Authenticated, body: FindPath) -> LearningPath:
    """The shortest path to a goal, with minutes, a schedule by day and the estimated completion."""
    return await engine.advice.path(caller, body.student_id, body.goal, body.topic)


@router.post("/analytics/patterns", openapi_extra=responds(StudentPatterns, limit="analytics"))
async def patterns(engine: TheEngine, caller: Authenticated, body: OfStudent) -> StudentPatterns:
    """The patterns that a tutor would notice in a student's history, with their evidence, and the open struggles."""
    return await engine.advice.patterns(caller, body.student_id)
