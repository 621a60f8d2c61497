"""Consent, erasure, export, and the audit trail."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field, StringConstraints

from mastery_engine.http.bodies import StudentId
from mastery_engine.http.bodies_compliance import ConsentChanged, Moment
from mastery_engine.http.envelope_route import Authenticated, Face
from mastery_engine.http.openapi import answers
from mastery_engine.responses.privacy import AuditTrail, Consent, Erasure, Export
from mastery_engine.services.privacy import Privacy

router = APIRouter(route_class=Face, tags=["compliance"], prefix="/compliance")

Word = Annotated[str | None, StringConstraints(min_length=1, max_length=200)]


@router.get("/students/{student_id}/consent", openapi_extra=answers(Consent))
async def consent(caller: Authenticated, request: Request, student_id: StudentId) -> Consent:
    """What the student allows, and since when."""
    privacy: Privacy = request.app.state.privacy
    return await privacy.consent(caller, student_id)


@router.put("/students/{student_id}/consent", openapi_extra=answers(Consent))
async def change_consent(
    caller: Authenticated, request: Request, student_id: StudentId, body: ConsentChanged
) -> Consent:
    """Give or withdraw consent; it holds for what is received from now on."""
    privacy: Privacy = request.app.state.privacy
    return await privacy.change_consent(caller, student_id, body.processing, body.profiling)


@router.delete("/students/{student_id}", openapi_extra=answers(Erasure))
async def erase(caller: Authenticated, request: Request, student_id: StudentId) -> Erasure:
    """Erase the student; says what was removed, and what ages out elsewhere until when."""
    privacy: Privacy = request.app.state.privacy
    return await privacy.erase(caller, student_id)


@router.get("/students/{student_id}/export", openapi_extra=answers(Export))
async def export(caller: Authenticated, request: Request, student_id: StudentId) -> Export:
    """All that is held about the student, as one document."""
    privacy: Privacy = request.app.state.privacy
    return await privacy.export(caller, student_id)


@router.get("/audit", openapi_extra=answers(AuditTrail))
async def audit(
    caller: Authenticated,
    request: Request,
    student: Annotated[StudentId | None, Query()] = None,
    subject: Annotated[Word, Query()] = None,
    call: Annotated[Word, Query()] = None,
    start: Annotated[Moment | None, Query(alias="from")] = None,
    end: Annotated[Moment | None, Query(alias="to")] = None,
    allowed: Annotated[bool | None, Query()] = None,
    limit: Annotated[int, Query(), Field(ge=1, le=1_000)] = 100,
    cursor: Annotated[Word, Query()] = None,
) -> AuditTrail:
    """Who did what to whom, newest first; ``from`` is included, ``to`` is not."""
    privacy: Privacy = request.app.state.privacy
    return await privacy.audit(
        caller,
        student_id=student,
        subject=subject,
        call=call,
        start=start,
        end=end,
        allowed=allowed,
        limit=limit,
        cursor=cursor,
    )
