"""Calls about teachers' notes on students."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import StringConstraints

from mastery_engine.domain.given_ids import EVENT_ID
from mastery_engine.domain.note import ChangedNote, NewNote
from mastery_engine.http.body import StudentId, read_struct
from mastery_engine.http.envelope_route import EnvelopeRoute
from mastery_engine.http.incoming import Authenticated, TheEngine, idempotency_key, json_body
from mastery_engine.http.openapi import KEYED, responds, takes
from mastery_engine.responses.notes import NoteList, NoteRecord, RemovedNote

router = APIRouter(route_class=EnvelopeRoute, tags=["notes"])

NoteId = Annotated[str, StringConstraints(pattern=EVENT_ID), Path(description="as the list of notes has it")]


@router.get("/students/{student_id}/notes", openapi_extra=responds(NoteList, limit="query"))
async def notes(engine: TheEngine, caller: Authenticated, student_id: StudentId) -> NoteList:
    """The notes of teachers on a student, those written last first: for their teachers and for admins."""
    return await engine.notes.all(caller, student_id)


@router.post("/students/{student_id}/notes", openapi_extra=responds(NoteRecord, limit="query") | KEYED | takes(NewNote))
async def add_note(engine: TheEngine, caller: Authenticated, request: Request, student_id: StudentId) -> NoteRecord:
    """Write a note on a student: up to 2,000 characters of plain text, up to 100 notes.

    The student's other teachers see it; the student does not, but has it in the export of their data.
    """
    body = await json_body(request)
    wanted = read_struct(NewNote, body)
    return await engine.notes.add(caller, student_id, wanted, key=idempotency_key(request, body))


@router.put(
    "/students/{student_id}/notes/{note_id}",
    openapi_extra=responds(NoteRecord, limit="query") | KEYED | takes(ChangedNote),
)
async def change_note(
    engine: TheEngine, caller: Authenticated, request: Request, student_id: StudentId, note_id: NoteId
) -> NoteRecord:
    """Change what a note of your own says. The time of its writing stays."""
    body = await json_body(request)
    wanted = read_struct(ChangedNote, body)
    return await engine.notes.change(caller, student_id, note_id, wanted, key=idempotency_key(request, body))


@router.delete("/students/{student_id}/notes/{note_id}", openapi_extra=responds(RemovedNote, limit="query"))
async def delete_note(engine: TheEngine, caller: Authenticated, student_id: StudentId, note_id: NoteId) -> RemovedNote:
    """Remove a note of your own; an admin may remove any."""
    return await engine.notes.remove(caller, student_id, note_id)
