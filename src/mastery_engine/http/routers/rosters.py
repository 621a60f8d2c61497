"""Calls that import a school's own lists of people and classes."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key
from mastery_engine.http.openapi import KEYED, responds
from mastery_engine.http.problems import UnsupportedMediaType
from mastery_engine.responses.rosters import ImportedRoster

ZIP = "application/zip"
ZIPS = frozenset((ZIP, "application/x-zip-compressed"))
TAKES_ZIP: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The zip as the school's system exports it: `curl --data-binary @oneroster.zip` with its type.",
        "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
    }
}

router = APIRouter(route_class=EnvelopeRoute, tags=["rosters"])


@router.post("/rosters/oneroster", openapi_extra=responds(ImportedRoster, limit=None) | KEYED | TAKES_ZIP)
async def import_roster(
    engine: TheEngine,
    caller: Authenticated,
    request: Request,
    dry_run: Annotated[bool, Query(description="Say what would change, and change nothing.")] = False,
) -> ImportedRoster:
    """Import a OneRoster zip (1.1 or 1.2, up to 64 MiB): users become profiles, classes cohorts with their teachers.

    It may be repeated: what is as the zip says stays as it is.
    """
    engine.rosters.check(caller)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ZIPS:
        raise UnsupportedMediaType(f"The body must be a zip with the content type {ZIP}, not {kind[:100]!r}.")
    body = await request.body()
    key = idempotency_key(request, body)
    return await engine.rosters.import_oneroster(caller, body, dry_run=dry_run, key=key)
