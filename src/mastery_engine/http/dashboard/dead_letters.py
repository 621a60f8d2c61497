"""The routes of the page about the dead letters of one reason: their content, and their redrive, after a question."""

import re
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mastery_engine.auth.access import Caller
from mastery_engine.errors import InvalidInput, NotFound
from mastery_engine.http.dashboard.routing import with_error_pages
from mastery_engine.http.dashboard.session import caller_of, check_same_origin, form_of
from mastery_engine.http.dashboard.templates import page
from mastery_engine.http.dashboard.told import NoSuch
from mastery_engine.http.dashboard.words import N_, spoken
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
    _checked(code)
    for name, given in (("before", before), ("redrive", asked)):
        if given and not ID.fullmatch(given):
            raise InvalidInput(N_("A dead letter is named by its number."), field=name)
    service = engine_of(request).dead_letters
    letters = await service.with_code(caller, code, before=int(before) if before else None, limit=ROWS + 1)
    if not letters and not before:
        raise await _no_such_reason(request, caller)
    shown = letters[:ROWS]
    if asked and int(asked) not in {one.letter_id for one in shown}:
        named = await service.with_code(caller, code, before=int(asked) + 1, limit=1)
        if not named or named[0].letter_id != int(asked):
            raise NotFound(N_("There is no such dead letter."))
    older = {"code": code, "before": shown[-1].letter_id} if len(letters) > ROWS else None
    return page(
        "dead_letters.html",
        caller,
        code=code,
        before=before,
        here=_of(code),
        letters=shown,
        names=await engine_of(request).people.names_for(caller, {one.student_id for one in shown if one.student_id}),
        older=f"{PLACE}?{urlencode(older)}" if older else "",
        asked=int(asked) if asked else None,
        most=MOST_SHOWN,
    )


@router.get("/redrive")
@with_error_pages
async def ask(request: Request) -> Response:
    """The question before all that wait with a reason are put back, a portion at a time."""
    caller = await caller_of(request)
    code = _checked(request.query_params.get("code", ""))
    until = request.state.at
    service = engine_of(request).dead_letters
    count, has_more = await service.count_waiting(caller, code, until)
    if not count and not await service.with_code(caller, code, before=None, limit=1):
        raise await _no_such_reason(request, caller)
    return page("redrive.html", caller, code=code, here=_of(code), until=until, count=count, has_more=has_more)


@router.post("/redrive")
@with_error_pages
async def redrive_reason(request: Request) -> Response:
    check_same_origin(request)
    caller = await caller_of(request)
    form = await form_of(request)
    code, until = _checked(form.get("code", "")), form.get("until", "")
    if not ID.fullmatch(until):
        raise InvalidInput(N_("The form could not be read: send it from the page /dashboard."), field="until")
    name = await engine_of(request).dead_letters.redrive_reason(caller, code, int(until))
    return RedirectResponse(f"{PLACE}/redriven/{name}", 303)


@router.get("/redriven/{name}")
@with_error_pages
async def redriven(request: Request, name: str) -> Response:
    """What came of it: how many are processed, failed again, or are under way."""
    caller = await caller_of(request)
    outcome = await engine_of(request).dead_letters.outcome(caller, name)
    return page("redriven.html", caller, outcome=outcome, here=_of(outcome.code))


@router.post("/{letter_id}/redrive")
@with_error_pages
async def redrive(request: Request, letter_id: str) -> Response:
    check_same_origin(request)
    caller = await caller_of(request)
    if not ID.fullmatch(letter_id):
        raise NotFound(N_("There is no such dead letter."))
    letter = await engine_of(request).dead_letters.redrive_own(caller, int(letter_id))
    return RedirectResponse(_of(letter.code), 303)


def _of(code: str) -> str:
    """The address of a reason's letters."""
    return f"{PLACE}?{urlencode({'code': code})}"


def _checked(code: str) -> str:
    if not code:
        raise InvalidInput(N_("The address names no reason: the page of operations leads to each."), field="code")
    return code


async def _no_such_reason(request: Request, caller: Caller) -> NoSuch:
    """The error where no letter has the reason, with those that letters have."""
    there = await engine_of(request).dead_letters.reasons(caller)
    links = [(f"{one.code} ({spoken().number(one.count)})", _of(one.code)) for one in there.reasons]
    return NoSuch(N_("No dead letter has this reason."), N_("The reasons for which dead letters wait"), links)
