"""A student's own data: what they allow, all that is held, and who looked at it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mastery_engine.auth.access import Caller
from mastery_engine.domain.moments import Micros, moment_of
from mastery_engine.errors import Forbidden
from mastery_engine.http.dashboard.routing import with_error_pages
from mastery_engine.http.dashboard.session import caller_of, check_same_origin, form_of
from mastery_engine.http.dashboard.templates import SAFE, page
from mastery_engine.http.dashboard.words import N_
from mastery_engine.http.envelope import JSON
from mastery_engine.http.incoming import engine_of
from mastery_engine.responses.privacy import AuditEntry

PURPOSES = ("processing", "profiling")
# Where an erasure does not reach, as the service names it; a topic goes by its name.
PLACES = {
    "process logs, which have student ids": N_("in the service's logs, which name you by your id"),
    "backups, until they are overwritten": N_("in backups, until they are overwritten"),
}

router = APIRouter(include_in_schema=False, prefix="/dashboard/my-data")


@router.get("")
@with_error_pages
async def my_data(request: Request) -> Response:
    """What the student who has signed in allows, and who looked at their data."""
    caller, engine = await _student(request), engine_of(request)
    consent = await engine.privacy.consent(caller, caller.subject)
    notes = len(await engine.notes.own(caller, caller.subject))
    looks = _by_reader(await engine.privacy.looks(caller, caller.subject))
    return page(
        "my_data.html",
        caller,
        consent=consent,
        erasure=await engine.privacy.erasure(caller, caller.subject),
        places=PLACES,
        retention=engine.rules.retention_days,
        notes=notes,
        looks=looks,
        names=await engine.people.names_by_token(caller, {who for who, *_ in looks}),
    )


@router.post("/consent")
@with_error_pages
async def change_consent(request: Request) -> Response:
    """Allow one purpose, or withdraw it."""
    check_same_origin(request)
    caller, form = await _student(request), await form_of(request)
    allowed = {"yes": True, "no": False}.get(form.get("allow", ""))
    changes = {name: allowed if form.get("purpose") == name else None for name in PURPOSES}
    await engine_of(request).privacy.change_consent(caller, caller.subject, changes["processing"], changes["profiling"])
    return RedirectResponse("/dashboard/my-data", 303)


@router.get("/export")
@with_error_pages
async def export(request: Request) -> Response:
    """All that is held about the student, as one file."""
    caller = await _student(request)
    found = await engine_of(request).privacy.export(caller, caller.subject)
    headers = {**SAFE, "Content-Disposition": 'attachment; filename="my-data.json"'}
    return Response(msgspec.json.encode(found), media_type=JSON, headers=headers)


async def _student(request: Request) -> Caller:
    """The student who has signed in. Raises Unauthenticated and Forbidden."""
    caller = await caller_of(request)
    if caller.role != "student":
        raise Forbidden(N_("This page is for students, about themselves."))
    return caller


def _by_reader(entries: Sequence[AuditEntry]) -> list[tuple[str, str, int, Micros]]:
    """Readers with their role, how often they looked, and when last; the latest first."""
    readers: dict[tuple[str, str], list[Micros]] = {}
    for entry in entries:
        readers.setdefault((entry.subject, entry.role), []).append(moment_of(datetime.fromisoformat(entry.at)))
    return [(who, role, len(times), max(times)) for (who, role), times in readers.items()]
