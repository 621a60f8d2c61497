"""The route of the forms by which teachers write, change and remove notes on a student's page."""

from contextlib import suppress
from urllib.parse import quote, urlencode

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from mastery_engine.auth.access import Caller
from mastery_engine.domain.given_ids import check_student_id
from mastery_engine.domain.ids import value_hash
from mastery_engine.domain.note import ChangedNote, NewNote
from mastery_engine.errors import Forbidden, InvalidInput, MasteryError, Unauthenticated
from mastery_engine.http.dashboard.notes import NoteForm
from mastery_engine.http.dashboard.routing import asked_course, sorry_page, with_error_pages
from mastery_engine.http.dashboard.session import caller_of, check_same_origin, form_of
from mastery_engine.http.dashboard.student import student_page
from mastery_engine.http.dashboard.told import told_of
from mastery_engine.http.dashboard.words import N_
from mastery_engine.http.incoming import engine_of
from mastery_engine.http.problems import status_of
from mastery_engine.services.idempotency import keyed

KEPT = ("course_id", "from", "to", "cohort", "class")

router = APIRouter(include_in_schema=False, prefix="/dashboard")


@router.get("/students/{student_id}/notes")
@with_error_pages
async def notes(request: Request, student_id: str) -> Response:
    """Where the form was sent to: whoever loads that again is led to the page."""
    await caller_of(request)
    return _back(request, check_student_id(student_id))


@router.post("/students/{student_id}/notes")
@with_error_pages
async def change_notes(request: Request, student_id: str) -> Response:
    """Write, change or remove a note. What was typed is on the page again where it could not be kept."""
    check_same_origin(request)
    caller = await _caller_of(request)
    form = await form_of(request)
    request.state.typed = form.get("text", "")  # whatever comes now, the page has it
    check_student_id(student_id)
    course_id = asked_course(request)
    try:
        await _done(request, caller, student_id, course_id, form)
    except Unauthenticated:
        raise
    except MasteryError as error:
        return await _again(request, caller, student_id, course_id, form, error)
    return _back(request, student_id)


async def _caller_of(request: Request) -> Caller:
    """As ``caller_of``, which counts the call; where nobody is, what was typed is kept for the page that says so."""
    try:
        return await caller_of(request)
    except MasteryError:
        with suppress(MasteryError):
            request.state.typed = (await form_of(request)).get("text", "")
        raise


async def _done(request: Request, caller: Caller, student_id: str, course_id: str | None, form: dict[str, str]) -> None:
    service, note_id, text = engine_of(request).notes, form.get("note", ""), form.get("text", "")
    match form.get("do", "add"):
        case "add":
            wanted = NewNote(text, course_id)
            # The same text of the same form is one note, however often the button is pressed.
            body = msgspec.json.encode((wanted, form.get("once", "")))
            await service.add(caller, student_id, wanted, key=keyed(value_hash(body), body))
        case "change":
            await service.change(caller, student_id, note_id, ChangedNote(text))
        case "remove":
            await service.remove(caller, student_id, note_id)
        case _:
            raise InvalidInput(N_("The form could not be read: send it from the page /dashboard."), field="do")


async def _again(
    request: Request, caller: Caller, student_id: str, course_id: str | None, form: dict[str, str], error: MasteryError
) -> Response:
    """The page with what was typed, and what was wrong; where there is no page, that with what was typed."""
    changed = form.get("note", "") if form.get("do") == "change" else ""
    shown = NoteForm(changed, "", form.get("text"), told_of(error).in_one)
    try:
        return await student_page(request, caller, student_id, course_id, form=shown, status=status_of(error))
    except Forbidden:
        raise
    except MasteryError as worse:
        return sorry_page(request, worse)


def _back(request: Request, student_id: str) -> Response:
    """To the page in the course and of the days that it was of."""
    kept = {name: value for name in KEPT if (value := request.query_params.get(name))}
    query = f"?{urlencode(kept, quote_via=quote, safe='')}" if kept else ""
    return RedirectResponse(f"/dashboard/students/{student_id}{query}#notes", 303)
