"""Calls about consent, erasure, export, and the audit trail."""

import datetime
import re
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from mastery_engine.http.body import Body, StudentId
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key, json_body
from mastery_engine.http.openapi import KEYED, responds
from mastery_engine.responses.privacy import AuditTrail, Consent, Erasure, Export
from mastery_engine.services.audit import AuditQuery

router = APIRouter(route_class=EnvelopeRoute, tags=["compliance"], prefix="/compliance")

Word = Annotated[str | None, StringConstraints(min_length=1, max_length=200)]


def _not_null(value: object) -> object:
    if value is None:
        raise ValueError("must be true or false; leave it out to change nothing")
    return value


IfSent = Annotated[bool | None, BeforeValidator(_not_null), WithJsonSchema({"type": "boolean"})]


class ConsentChanged(Body):
    """What a student allows from now on; a field that is left out changes nothing."""

    processing: IfSent = None
    profiling: IfSent = None


def _no_number(text: str) -> str:
    """The text of a moment, checked, because Pydantic would also accept a number or a day."""
    if not re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:", text, re.ASCII):
        raise ValueError("must be a date and time, as in 2026-01-14T10:30:00Z")
    return text


Moment = Annotated[datetime.datetime, BeforeValidator(_no_number)]


@router.get("/students/{student_id}/consent", openapi_extra=responds(Consent, limit="compliance"))
async def consent(engine: TheEngine, caller: Authenticated, student_id: StudentId) -> Consent:
    """What the student allows, and since when."""
    return await engine.privacy.consent(caller, student_id)


@router.put("/students/{student_id}/consent", openapi_extra=responds(Consent, limit="compliance") | KEYED)
async def set_consent(
    engine: TheEngine, caller: Authenticated, request: Request, student_id: StudentId, body: ConsentChanged
) -> Consent:
    """Give or withdraw consent; it holds for what is received from now on."""
    key = idempotency_key(request, await json_body(request))
    return await engine.privacy.change_consent(caller, student_id, body.processing, body.profiling, key=key)


@router.delete("/students/{student_id}", openapi_extra=responds(Erasure, limit="compliance"))
async def erase(engine: TheEngine, caller: Authenticated, student_id: StudentId) -> Erasure:
    """Erase the student; answers what was removed, and what stays elsewhere until when."""
    return await engine.privacy.erase(caller, student_id)


@router.get("/students/{student_id}/export", openapi_extra=responds(Export, limit="compliance"))
async def export(engine: TheEngine, caller: Authenticated, student_id: StudentId) -> Export:
    """Everything that is held about the student, as one document."""
    return await engine.privacy.export(caller, student_id)


@router.get("/audit", openapi_extra=responds(AuditTrail, limit="compliance"))
async def audit(
    engine: TheEngine,
    caller: Authenticated,
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
    return await engine.privacy.audit(
        caller,
        AuditQuery(
            student_id=student,
            subject=subject,
            call=call,
            start=start,
            end=end,
            allowed=allowed,
            limit=limit,
            cursor=cursor,
        ),
    )
