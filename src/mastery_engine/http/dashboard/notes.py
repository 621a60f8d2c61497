"""The notes on a student's page: who wrote what and when, and the forms to write, change and remove them."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import msgspec
from fastapi import Request

from mastery_engine.auth.access import TABLE, Act, Caller, Reach
from mastery_engine.domain.courses.zone import Zone
from mastery_engine.domain.moments import moment_of
from mastery_engine.domain.note import LONGEST_NOTE
from mastery_engine.engine import Engine
from mastery_engine.http.dashboard.told import SAID
from mastery_engine.http.dashboard.words import spoken
from mastery_engine.responses.notes import NoteRecord
from mastery_engine.services.notes import NO_SUCH_NOTE, NOT_YOURS, NOT_YOURS_TO_REMOVE

SHOWN = 20


class NoteForm(msgspec.Struct, frozen=True):
    """What is under way: the note that is to be changed or removed, if any, what was typed, and what was wrong."""

    change: str = ""
    remove: str = ""
    text: str | None = None
    error: str = ""


class ShownNote(msgspec.Struct, frozen=True):
    """A note as the page shows it, with its author's name; the moments are in the course's time zone."""

    note: NoteRecord
    author: str
    written: str
    changed: str
    may_change: bool
    may_remove: bool


class NotesSection(msgspec.Struct, frozen=True):
    """The notes that are shown, how many there are, the form, and what tells one sending of it from the next."""

    shown: list[ShownNote]
    count: int
    form: NoteForm
    once: str
    longest: int = LONGEST_NOTE


def asked_form(request: Request) -> NoteForm:
    """The note that the address names, to be changed or removed."""
    asked = request.query_params
    return NoteForm(asked.get("change", ""), asked.get("remove", ""))


async def notes_section(
    engine: Engine, caller: Caller, student_id: str, zone: Zone, form: NoteForm, *, whole: bool
) -> NotesSection | None:
    """The notes on a student who is known, for who may read them; None for others. Raises Unavailable."""
    if TABLE[Act.NOTES][caller.role] is Reach.NOBODY:
        return None
    notes = (await engine.notes.all(caller, student_id, is_known=True)).notes
    own = {one.note_id for one in notes if one.author == caller.subject}
    if not form.error:
        form = msgspec.structs.replace(form, error=_fault(form, notes, caller))
    if form.change not in own:  # it was removed meanwhile: what was typed goes into the form for a new one
        form = msgspec.structs.replace(form, change="")
    asked = {form.change, form.remove}
    chosen = [one for place, one in enumerate(notes) if whole or place < SHOWN or one.note_id in asked]
    names = await engine.people.names_by_token(caller, {one.author for one in chosen}) if chosen else {}
    shown = [_shown(one, names.get(one.author, one.author), caller, zone) for one in chosen]
    return NotesSection(shown, len(notes), form, engine.new_id())


def _fault(form: NoteForm, notes: Sequence[NoteRecord], caller: Caller) -> str:
    """What is wrong with the note that the address names; empty where nothing is."""
    words, authors = spoken(), {one.note_id: one.author for one in notes}
    for note_id, not_yours, may_all in (
        (form.change, NOT_YOURS, False),
        (form.remove, NOT_YOURS_TO_REMOVE, caller.role == "admin"),
    ):
        if note_id and note_id not in authors:
            return words.gettext(SAID[NO_SUCH_NOTE])
        if note_id and authors[note_id] != caller.subject and not may_all:
            return words.gettext(SAID[not_yours])
    return ""


def _shown(one: NoteRecord, author: str, caller: Caller, zone: Zone) -> ShownNote:
    own = one.author == caller.subject
    return ShownNote(
        one,
        author,
        _moment(one.written, zone),
        "" if one.changed is None else _moment(one.changed, zone),
        own,
        own or caller.role == "admin",
    )


def _moment(written: str, zone: Zone) -> str:
    at = moment_of(datetime.fromisoformat(written))
    return spoken().moment(at, timezone(timedelta(microseconds=zone.offset_at(at))))
