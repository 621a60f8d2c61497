"""The answers about teachers' notes."""

import msgspec

from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.note import Note
from mastery_engine.responses.times import MomentText


class NoteRecord(msgspec.Struct, frozen=True):
    """A teacher's note on a student: plain text. ``changed`` is null where its author never changed it.

    ``expires`` is when it is removed by itself; each change puts that off.
    """

    note_id: str
    student_id: str
    course_id: str
    author: str
    text: str
    written: MomentText
    changed: MomentText | None
    expires: MomentText


class NoteList(msgspec.Struct, frozen=True):
    """The notes on a student, those written last first."""

    notes: list[NoteRecord]


class RemovedNote(msgspec.Struct, frozen=True):
    """The note that was removed."""

    note_id: str
    student_id: str


def note_record(note: Note, *, lives: int) -> NoteRecord:
    """A note that lives so long, in microseconds, from its writing or last change."""
    return NoteRecord(
        note.note_id,
        note.student_id,
        note.course_id,
        note.author,
        note.text,
        rfc3339(note.written),
        None if note.changed is None else rfc3339(note.changed),
        rfc3339(note.latest + lives),
    )
