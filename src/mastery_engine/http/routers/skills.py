"""The call for a student's skills, as estimated by knowledge tracing."""

from fastapi import APIRouter

from mastery_engine.http.body import OfStudent
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine
from mastery_engine.http.openapi import responds
from mastery_engine.responses.skills import StudentSkills

router = APIRouter(route_class=EnvelopeRoute, tags=["analytics"], prefix="/analytics")


@router.post("/skills", openapi_extra=responds(StudentSkills, limit="analytics"))
async def skills(engine: TheEngine, caller: Authenticated, body: OfStudent) -> StudentSkills:
    """For each skill: the chance that the next answer is right, its uncertainty, what is forgotten, last practised."""
    return await engine.skills.of(caller, body.student_id, course_id=body.course_id)
