"""The routes of the page about the dead letters of one reason: their content, and their redrive, after a question."""

import re
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mastery_engine.errors import InvalidInput, NotFound
from mastery_engine.http.dashboard.routing import with_error_pages
from mastery_engine.http.dashboard.session import caller_of, check_same_origin
from mastery_engine.http.dashboard.templates import page
from mastery_engine.http.dashboard.words import N_
from mastery_engine.http.incoming import engine_of

ROWS = 25
MOST_SHOWN = 4_000
ID = re.compile(r"[0-9]{1,18}", re.ASCII)
PLACE = "/dashboard/dead-letters"

router = APIRouter(include_in_schema=False, prefix=PLACE)


@router.get("")
@with_error_pages
async def show(request: Request) -> Response:
    """The letters of a reason; with ``redrive`` in the address it asks whether that one is to be put back."""
    caller = await caller_of(request)
    code, before, asked = (request.query_params.get(name, "") for name in ("code", "before", "redrive"))
    if not code:
        raise InvalidInput("code must be that of a reason: /dashboard leads to each.", field="code")
    for name, given in (("before", before), ("redrive", asked)):
        if given and not ID.fullmatch(given):
            raise InvalidInput(f"{name} must be the id of a dead letter.", field=name)
    service = engine_of(request).dead_letters
    letters = await service.with_code(caller, code, before=int(before) if before else None, limit=ROWS + 1)
    shown = letters[:ROWS]
    older = {"code": code, "before": shown[-1].letter_id} if len(letters) > ROWS else None
    return page(
        "dead_letters.html",
        caller,
        code=code,
        before=before,
        here=f"{PLACE}?{urlencode({'code': code})}",
        letters=shown,
        older=f"{PLACE}?{urlencode(older)}" if older else "",
        asked=int(asked) if asked else None,
        most=MOST_SHOWN,
    )


@router.post("/{letter_id}/redrive")
@with_error_pages
async def redrive(request: Request, letter_id: str) -> Response:
    check_same_origin(request)
    caller = await caller_of(request)
    if not ID.fullmatch(letter_id):
        raise NotFound(N_("There is no such dead letter."))
    letter = await engine_of(request).dead_letters.redrive_own(caller, int(letter_id))
    return RedirectResponse(f"{PLACE}?{urlencode({'code': letter.code})}", 303)
