"""The notes on a student's page: who wrote what and when, and the forms to write, change and remove them."""

from datetime import datetime, timedelta, timezone

import msgspec
from fastapi import Request

from mastery_engine.auth.access import TABLE, Act, Caller, Reach
from mastery_engine.domain.courses.zone import Zone
from mastery_engine.domain.moments import moment_of
from mastery_engine.domain.note import EMPTY, LONGEST_NOTE, ODD, TOO_LONG
from mastery_engine.engine import Engine
from mastery_engine.http.dashboard.words import ENGLISH, N_, spoken
from mastery_engine.responses.notes import NoteRecord
from mastery_engine.services.notes import FULL, NO_SUCH_NOTE, NOT_YOURS, NOT_YOURS_TO_REMOVE, OVERTAKEN

SHOWN = 20
# What the service may say of a note, for the catalogues; a test holds that it is the same.
SAID = {
    EMPTY: N_("The note is empty: write something first."),
    TOO_LONG: N_("The note is too long: shorten it to 2,000 characters."),
    ODD: N_("The note holds characters that show nothing, such as control characters: take them out."),
    FULL: N_("There are 100 notes on this student already: remove one first."),
    NOT_YOURS: N_("Only who wrote a note may change it."),
    NOT_YOURS_TO_REMOVE: N_("Only who wrote a note, or an admin, may remove it."),
    OVERTAKEN: N_("The note was changed at the same time: look at it, and try again."),
    NO_SUCH_NOTE: N_("There is no such note: it was removed, or has expired."),
}


class NoteForm(msgspec.Struct, frozen=True):
    """What is under way: the note that is to be changed or removed, if any, what was typed, and what was wrong."""

    change: str = ""
    remove: str = ""
    text: str | None = None
    error: str = ""
    language: str = ENGLISH


class ShownNote(msgspec.Struct, frozen=True):
    """A note as the page shows it; the moments are in the course's time zone."""

    note: NoteRecord
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
    """The notes for who may read them; None for others. Raises Unavailable."""
    if TABLE[Act.NOTES][caller.role] is Reach.NOBODY:
        return None
    notes = (await engine.notes.all(caller, student_id)).notes
    own = {one.note_id for one in notes if one.author == caller.subject}
    if form.change not in own:  # it was removed meanwhile: what was typed goes into the form for a new one
        form = msgspec.structs.replace(form, change="")
    asked = {form.change, form.remove}
    chosen = [one for place, one in enumerate(notes) if whole or place < SHOWN or one.note_id in asked]
    shown = [_shown(one, caller, zone) for one in chosen]
    return NotesSection(shown, len(notes), form, engine.new_id())


def _shown(one: NoteRecord, caller: Caller, zone: Zone) -> ShownNote:
    own = one.author == caller.subject
    return ShownNote(
        one,
        _moment(one.written, zone),
        "" if one.changed is None else _moment(one.changed, zone),
        own,
        own or caller.role == "admin",
    )


def _moment(written: str, zone: Zone) -> str:
    at = moment_of(datetime.fromisoformat(written))
    return spoken().moment(at, timezone(timedelta(microseconds=zone.offset_at(at))))
