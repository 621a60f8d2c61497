"""A teacher's note on a student: plain text, with who wrote it, in which course, and when."""

import re
import unicodedata
from typing import Annotated

import msgspec
from msgspec import Meta

from mastery_engine.domain.given_ids import LONGEST_NAME, NOT_ALLOWED
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import InvalidInput

LONGEST_NOTE = 2_000
LONGEST_SPELLING = 4  # characters that normalisation may make one of
EMPTY = "The note is empty: write something first."
TOO_LONG = "The note is too long: shorten it to 2,000 characters."
ODD = "The note holds characters that show nothing, such as control characters: take them out."

# The length is that of the normal form, so only the schema says it.
Text = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_NOTE})]
Course = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_NAME})]

_BREAKS = re.compile("\r\n?")
_LINES = str.maketrans("", "", "\n\t")


class NewNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to write down about a student, in plain text, in which course: else their only one, else ``default``."""

    text: Text
    course_id: Course | None = None


class ChangedNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a note says from now on."""

    text: Text


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """A note as it is kept; ``changed`` is when its author changed it last, None where they never did."""

    note_id: str
    tenant: str
    student_id: str
    course_id: str
    author: str
    text: str
    written: Micros
    changed: Micros | None = None

    @property
    def student(self) -> StudentKey:
        return StudentKey(self.tenant, self.student_id)

    @property
    def latest(self) -> Micros:
        """When it was written, or changed last."""
        return self.written if self.changed is None else self.changed


def note_text(text: str) -> str:
    """The text of a note in its one spelling, with line feeds between its lines. Raises InvalidInput."""
    if len(text) > 2 * LONGEST_SPELLING * LONGEST_NOTE:  # which no normalisation makes short enough
        raise InvalidInput(TOO_LONG, field="text")
    bare = unicodedata.normalize("NFC", _BREAKS.sub("\n", text)).strip()
    if not bare or all(unicodedata.category(one) in ("Cf", "Zs", "Cc") for one in bare):
        raise InvalidInput(EMPTY, field="text")
    if len(bare) > LONGEST_NOTE:
        raise InvalidInput(TOO_LONG, field="text")
    if NOT_ALLOWED.search(bare.translate(_LINES)) is not None:
        raise InvalidInput(ODD, field="text")
    return bare


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


def pack_kept_note(note: Note) -> bytes:
    return _encode(note)


def unpack_kept_note(packed: bytes) -> Note:
    return _decode(packed)
