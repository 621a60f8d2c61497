"""What an earlier engine took and today's rules refuse: events in the log, which are read in today's terms.

Until ``STRICT_SINCE``, seconds had no upper limit, an id was any text of 1 to 100 characters, and ``course_id`` was a
field that nobody knew. Those events were acknowledged, so they count whenever the log is read. Doors never come here.
What came to be allowed since (a score of an answer, one without skills) is taken whenever it is read.
"""

import unicodedata
from collections.abc import Iterator

import msgspec

from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import SentEvent, read_strictly, read_unwrapped
from mastery_engine.domain.events.kinds import ALIASES, KINDS, MOST_SECONDS
from mastery_engine.domain.given_ids import LONGEST_ID, LONGEST_NAME, NOT_ALLOWED, normal_id
from mastery_engine.domain.json_text import without_mark
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import InvalidInput

# 2026-11-29T00:00:00Z. A record's receipt decides, not the moment of the reading or the version that reads: so each
# reading of it, by a worker, a replay or a fit of the items, comes to the same verdict.
STRICT_SINCE: Micros = 1_795_910_400_000_000
LONGEST_EARLIER = 100
UNNAMED = "unnamed"
NULL = msgspec.Raw(b"null")

_SECONDS = frozenset(("time_taken", "time_spent", "duration"))
_LONGEST = {
    "topic": LONGEST_NAME,
    "exercise_id": LONGEST_ID,
    "quiz_id": LONGEST_ID,
    "submission_id": LONGEST_ID,
    "item_id": LONGEST_ID,
    "recommendation_id": LONGEST_ID,
}
_KNOWN = {name: frozenset(kind.__struct_fields__) for name, kind in KINDS.items()}
_REQUIRED = {
    name: frozenset(field.name for field in msgspec.structs.fields(kind) if field.required)
    for name, kind in KINDS.items()
}

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_metadata = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_text = msgspec.json.Decoder(str).decode
_texts = msgspec.json.Decoder(list[str]).decode
_number = msgspec.json.Decoder(float).decode
_encode = msgspec.json.Encoder().encode


def read_logged(value: bytes, received: Micros) -> tuple[SentEvent, str | None]:
    """As ``read_unwrapped``, for a record of the log received at a moment. Raises InvalidInput."""
    try:
        return read_unwrapped(value)
    except InvalidInput:
        if received >= STRICT_SINCE:
            raise
        inner, outside = unwrap(without_mark(value))
        try:
            mended = _in_todays_terms(inner)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            mended = inner  # the fault is another one, which the strict reading names
        return read_strictly(mended), outside


def _in_todays_terms(value: bytes) -> bytes:
    """The document with its seconds within the limit and its ids in their spelling. Raises what a decoder raises."""
    envelope = _fields(value)
    name = _text(envelope.get("event_type", NULL))
    kind = ALIASES.get(name, name)
    known, required = _KNOWN.get(kind, frozenset()), _REQUIRED.get(kind, frozenset())
    envelope["data"] = _raw(dict(_data(_fields(envelope.get("data", NULL)), known, required)))
    if "course_id" in envelope and not _names_course(envelope["course_id"]):
        del envelope["course_id"]  # there were no courses, so it was an unknown field
    metadata = _metadata(envelope.get("metadata", NULL)) or {}
    if "cohort_id" in metadata:
        cohort_id = _respelled(metadata.pop("cohort_id"), LONGEST_NAME)
        if cohort_id:
            metadata["cohort_id"] = cohort_id
        envelope["metadata"] = _raw(metadata)
    return _encode(envelope)


def _data(
    data: dict[str, msgspec.Raw], known: frozenset[str], required: frozenset[str]
) -> Iterator[tuple[str, msgspec.Raw]]:
    for name, content in data.items():
        if name not in known:
            yield name, content  # it was refused then too
        elif name in _SECONDS:
            yield name, _within_limit(content)
        elif name == "skills":
            yield name, _skills(content)
        elif name not in _LONGEST:
            yield name, content
        elif respelled := _respelled(content, _LONGEST[name]):
            yield name, respelled
        elif name in required:
            yield name, _raw(UNNAMED)


def _within_limit(content: msgspec.Raw) -> msgspec.Raw:
    return content if content == NULL or _number(content) <= MOST_SECONDS else _raw(MOST_SECONDS)


def _skills(content: msgspec.Raw) -> msgspec.Raw:
    """The skills that have a name, or one that is unnamed."""
    skills = _texts(content)
    if not skills or not all(_was_taken(skill) for skill in skills):
        return content
    return _raw([name for skill in skills if (name := _spelling(skill, LONGEST_NAME))] or [UNNAMED])


def _respelled(content: msgspec.Raw, longest: int) -> msgspec.Raw | None:
    """An id in its spelling; None where nothing of it is left. What the earlier engine refused stays as it is."""
    if content == NULL or not _was_taken(text := _text(content)):
        return content
    spelling = _spelling(text, longest)
    return _raw(spelling) if spelling else None


def _was_taken(text: str) -> bool:
    return 0 < len(text) <= LONGEST_EARLIER


def _spelling(text: str, longest: int) -> str:
    """The id without what is not allowed; empty where nothing is left that could be its name."""
    bare = unicodedata.normalize("NFC", NOT_ALLOWED.sub("", text)).strip()[:longest]
    try:
        return normal_id(bare, "id", longest)
    except InvalidInput:
        return ""


def _names_course(content: msgspec.Raw) -> bool:
    try:
        return content == NULL or bool(normal_id(_text(content), "course_id"))
    except (msgspec.ValidationError, InvalidInput):
        return False


def _raw(content: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(content))
