"""Knowledge tracing."""

from fastapi import APIRouter, Request

from mastery_engine.http.bodies import OfStudent
from mastery_engine.http.envelope_route import Authenticated, Face
from mastery_engine.http.openapi import answers
from mastery_engine.responses.skills import StudentSkills
from mastery_engine.services.skills import Skills

router = APIRouter(route_class=Face, tags=["analytics"], prefix="/analytics")


@router.post("/skills", openapi_extra=answers(StudentSkills))
async def skills(caller: Authenticated, request: Request, body: OfStudent) -> StudentSkills:
    """For each skill: how likely the next answer is right, how sure that is, how much is forgotten, last practised."""
    known: Skills = request.app.state.skills
    return await known.of(caller, body.student_id)
