"""The answers about consent, erasure, export and the audit trail."""

from base64 import b64encode
from typing import Any

import msgspec

from mastery_engine.domain.events.cloudevents import unwrap
from mastery_engine.domain.events.envelope import peek
from mastery_engine.domain.events.kinds import ComponentValues
from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.skills.next_answer.state import unpacked
from mastery_engine.domain.student import Student
from mastery_engine.ports.audit_log import AuditRecord
from mastery_engine.ports.dead_letters import DeadLetter
from mastery_engine.ports.deliveries import Delivery, DeliveryState
from mastery_engine.ports.event_log import Record
from mastery_engine.ports.record_documents import RecordDocument
from mastery_engine.ports.registry import Entry, Table
from mastery_engine.responses.batches import BatchFailure, BatchResult
from mastery_engine.responses.ingest import Problem
from mastery_engine.responses.notes import NoteRecord
from mastery_engine.responses.people import ProfileRecord
from mastery_engine.responses.times import DateText, MomentText


class ConsentPoint(msgspec.Struct, frozen=True):
    """A change of consent: what was allowed from then on. ``erased`` says that the student was erased then."""

    at: MomentText
    processing: bool
    profiling: bool
    erased: bool


class Consent(msgspec.Struct, frozen=True):
    """What is allowed now, and the history of changes, oldest first; an erasure begins a new history."""

    student_id: str
    processing: bool
    profiling: bool
    history: list[ConsentPoint]


class StaysUntil(msgspec.Struct, frozen=True):
    """A place where an erasure cannot remove data, and until when they stay; null if the engine cannot know."""

    where: str
    until: MomentText | None


class Erasure(msgspec.Struct, frozen=True):
    """What was erased. ``proof`` is a keyed hash, by PSEUDONYM_KEY, of the student and the moment."""

    pseudonym: str
    erased_at: MomentText
    removed_from_store: int
    removed_from_log: int
    ages_out: list[StaysUntil]
    proof: str


class ErasedBefore(msgspec.Struct, frozen=True):
    """An erasure that was, as its student may know it: when, and where it does not reach, until when."""

    erased_at: MomentText
    ages_out: list[StaysUntil]


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what, to which student (a keyed hash), when, from where, and whether it was allowed.

    The ``subject`` of a student's own call is a keyed hash, too; ``call`` names the kind of call.
    """

    at: MomentText
    subject: str
    role: str
    call: str
    student: str | None
    allowed: bool
    address: str
    request_id: str


class AuditTrail(msgspec.Struct, frozen=True):
    """A page of the audit trail, newest first; ``next_cursor`` leads to the page after it."""

    records: list[AuditEntry]
    next_cursor: str | None


class HeldEvent(msgspec.Struct, frozen=True):
    """An event as stored in the log; ``content`` is what was sent, as text."""

    partition: int
    offset: int
    received: MomentText
    event_id: str
    content: str


class HeldLetter(msgspec.Struct, frozen=True):
    """An event that could not be processed, and why; ``content`` is what was sent, as text."""

    event_id: str | None
    code: str
    message: str
    at: MomentText
    content: str | None


class HeldDay(msgspec.Struct, frozen=True):
    """The mastery at the end of a day."""

    date: DateText
    mastery_score: float
    level: str
    completion: float | None
    quiz: float | None
    quality: float | None
    consistency: float | None


class HeldCourse(msgspec.Struct, frozen=True):
    """What is held about a student in a course other than the default one."""

    course_id: str
    document: dict[str, Any]
    history: list[HeldDay]


class HeldMembership(msgspec.Struct, frozen=True):
    """A cohort that knows of the student: whether they are in it, and by whom, events or an admin, or teach it."""

    cohort_id: str
    name: str
    is_member: bool
    joined_by_events: bool
    put_in_by_admin: bool
    taken_out_by_admin: bool
    teaches: bool
    course_id: str


class HeldRow(msgspec.Struct, frozen=True):
    """A row about the student in a batch that waits; ``index`` is its place, from 0."""

    index: int
    components: ComponentValues
    problem: Problem | None


class HeldBatch(msgspec.Struct, frozen=True):
    """What a batch of calculations holds about the student; without any row their sender's token names them."""

    batch_id: str
    created: MomentText
    is_sent_by_student: bool
    rows: list[HeldRow]
    results: list[BatchResult]
    failures: list[BatchFailure]


class HeldResource(msgspec.Struct, frozen=True, omit_defaults=True):
    """A document that another platform keeps here about the student (xAPI's State and Agent Profile).

    ``about`` names the resource, the agent and the activity. The content is text, or Base64 where it is none.
    """

    name: str
    about: dict[str, Any]
    content_type: str
    updated: MomentText
    content: str
    registration: str | None = None
    is_base64: bool = False


class HeldDelivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message about the student to another service, and what became of it; ``content`` is what is sent, as text."""

    sink: str
    delivery_id: str
    queued: MomentText
    state: DeliveryState
    attempts: int
    content: str
    outcome: str = ""
    tried: MomentText | None = None
    ended: MomentText | None = None


class HeldEntry(msgspec.Struct, frozen=True):
    """A record about the student that a door to others keeps; ``content`` is what it says, as text where it is none."""

    table: str
    key: str
    content: Any


class Export(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that is held about a student. ``events`` is null if only a scan of the log would find them.

    ``document`` is the whole document by the names of its fields; ids of applied events are hashes, in hexadecimal. It
    and ``history`` are those of the default course; each other course stands in ``courses``, which is there if any is.
    ``statements`` are those of xAPI about the student, without who else is in them, and ``resources`` what other
    platforms keep here about the student (State, Agent Profile); ``deliveries`` are what is or was sent to other
    services about the student, and ``entries`` what doors to them keep; ``notes`` are what teachers wrote down about
    the student. Each is there if there are any.
    """

    student_id: str
    tenant: str
    exported_at: MomentText
    document: dict[str, Any] | None
    history: list[HeldDay]
    consent: Consent
    audit: list[AuditEntry]
    dead_letters: list[HeldLetter]
    events: list[HeldEvent] | None
    cohorts: list[HeldMembership]
    batches: list[HeldBatch]
    elsewhere: list[StaysUntil]
    courses: list[HeldCourse] = []
    profile: ProfileRecord | None = None
    statements: list[dict[str, Any]] = []
    resources: list[HeldResource] = []
    deliveries: list[HeldDelivery] = []
    entries: list[HeldEntry] = []
    notes: list[NoteRecord] = []


def audit_entry(record: AuditRecord) -> AuditEntry:
    """An audit record as it is sent."""
    return AuditEntry(
        rfc3339(record.at),
        record.subject,
        record.role,
        record.call,
        record.student_id,
        record.allowed,
        record.address,
        record.request_id,
    )


def held_event(record: Record) -> HeldEvent:
    """An event of the log as it is sent."""
    inner, outside_id = (None, None) if record.value is None else unwrap(record.value)
    event_id = peek(inner).event_id or record.id_beside(outside_id)
    return HeldEvent(record.partition, record.offset, rfc3339(record.received), event_id, text_of(record.value) or "")


def held_resource(name: str, registration: str, document: RecordDocument) -> HeldResource:
    """A document of State or of an agent's profile as it is sent."""
    text = _utf8(document.content)
    return HeldResource(
        name,
        msgspec.json.decode(document.about),
        document.content_type,
        rfc3339(document.updated),
        b64encode(document.content).decode() if text is None else text,
        registration or None,
        text is None,
    )


def _utf8(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def held_delivery(delivery: Delivery) -> HeldDelivery:
    """A delivery as it is sent."""
    return HeldDelivery(
        delivery.sink,
        delivery.delivery_id,
        rfc3339(delivery.queued),
        delivery.state,
        delivery.attempts,
        text_of(delivery.body) or "",
        delivery.outcome,
        None if delivery.tried is None else rfc3339(delivery.tried),
        None if delivery.ended is None else rfc3339(delivery.ended),
    )


def held_entry(table: Table, entry: Entry) -> HeldEntry:
    """A record as it is sent: what its owner packed as JSON or MessagePack, unpacked, else its text."""
    for decode in (msgspec.json.decode, msgspec.msgpack.decode):
        try:
            return HeldEntry(table, entry.key, readable(decode(entry.value)))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return HeldEntry(table, entry.key, text_of(entry.value))


def held_letter(letter: DeadLetter) -> HeldLetter:
    """A dead letter as it is sent."""
    return HeldLetter(letter.event_id, letter.code, letter.message, rfc3339(letter.at), text_of(letter.value))


def readable(value: Any) -> Any:
    """A structure as plain data by the names of its fields, with bytes in hexadecimal."""
    if isinstance(value, msgspec.Struct):
        return {name: readable(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {text_of(name) if isinstance(name, bytes) else str(name): readable(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [readable(item) for item in value]
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return value


def held_document(student: Student) -> dict[str, Any]:
    """A student's document as plain data, with what is packed in it unpacked."""
    document: dict[str, Any] = readable(student)
    attempts = student.evidence.attempts
    if attempts is not None:
        document["evidence"]["attempts"] = {
            "words": [readable(word._asdict()) for word in attempts.words()],
            "quiz": readable(attempts.quiz),
            "quality": readable(attempts.quality),
        }
    del document["moved"]  # empty: the document that held more before it was moved is nobody's own
    return document | {"answers": readable(unpacked(student.answers))}


def text_of(value: bytes | None) -> str | None:
    """Bytes as text; bytes that are not UTF-8 are escaped."""
    return None if value is None else value.decode(errors="replace")
