"""The page that says how far everybody can use the pages: what is tested, and what is not met."""

from contextlib import suppress

from fastapi import APIRouter, Request
from starlette.responses import Response

from mastery_engine.errors import Unauthenticated
from mastery_engine.http.dashboard.routing import with_error_pages
from mastery_engine.http.dashboard.session import caller_of, session_of
from mastery_engine.http.dashboard.templates import page

router = APIRouter(include_in_schema=False, prefix="/dashboard/accessibility")


@router.get("")
@with_error_pages
async def accessibility(request: Request) -> Response:
    """For anybody, signed in or not."""
    caller = None
    if session_of(request):
        with suppress(Unauthenticated):
            caller = await caller_of(request)
    return page("accessibility.html", caller)
