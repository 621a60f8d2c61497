"""What to do next, on which way, and what a tutor would notice."""

from fastapi import APIRouter, Request

from mastery_engine.http.bodies import OfStudent
from mastery_engine.http.bodies_advice import Advise, FindPath
from mastery_engine.http.envelope_route import Authenticated, Face
from mastery_engine.http.openapi import answers
from mastery_engine.responses.advice import LearningPath, Recommended, StudentPatterns
from mastery_engine.services.advice import Advising

router = APIRouter(route_class=Face, tags=["recommendations"])


@router.post("/recommendations/adaptive", openapi_extra=answers(Recommended, many=True))
async def adaptive(caller: Authenticated, request: Request, body: Advise) -> list[Recommended]:
    """What to do next, by the gain of mastery for each minute; a student without events is told where to start."""
    advising: Advising = request.app.state.advising
    return await advising.recommendations(caller, body.student_id, limit=body.limit, priority=body.priority)


@router.post("/recommendations/learning-path", openapi_extra=answers(LearningPath))
async def path(caller: Authenticated, request: Request, body: FindPath) -> LearningPath:
    """The shortest ordered way to a goal, with minutes, a schedule by day and an estimated completion."""
    advising: Advising = request.app.state.advising
    return await advising.path(caller, body.student_id, body.goal, body.topic)


@router.post("/analytics/patterns", openapi_extra=answers(StudentPatterns))
async def patterns(caller: Authenticated, request: Request, body: OfStudent) -> StudentPatterns:
    """What a tutor would notice in a student's history, each with its evidence; and the open struggles."""
    advising: Advising = request.app.state.advising
    return await advising.patterns(caller, body.student_id)
