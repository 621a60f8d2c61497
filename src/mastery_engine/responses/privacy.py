"""What the calls about consent, erasure, export and the audit trail answer."""

from typing import Any

import msgspec


class ConsentPoint(msgspec.Struct, frozen=True):
    """A change of consent: what was allowed from then on. ``erased``: the student was erased then."""

    at: str
    processing: bool
    profiling: bool
    erased: bool


class Consent(msgspec.Struct, frozen=True):
    """What is allowed now, and how it came to be, oldest first; an erasure begins a new history."""

    student_id: str
    processing: bool
    profiling: bool
    history: list[ConsentPoint]


class StaysUntil(msgspec.Struct, frozen=True):
    """Something of the student that an erasure cannot take out, and until when; null where that is not ours to know."""

    where: str
    until: str | None


class Erasure(msgspec.Struct, frozen=True):
    """What was erased. ``proof`` is made with PSEUDONYM_KEY of the moment and of whom ``pseudonym`` stands for."""

    pseudonym: str
    erased_at: str
    removed_from_store: int
    removed_from_log: int
    ages_out: list[StaysUntil]
    proof: str


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what, to whom (a keyed hash), when, from where, and whether they might.

    A student's own ``subject`` is a keyed hash too; ``call`` names the kind of call.
    """

    at: str
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
    """An event as the log has it; ``content`` is what was sent, as text."""

    partition: int
    offset: int
    received: str
    event_id: str
    content: str


class HeldLetter(msgspec.Struct, frozen=True):
    """An event that could not be processed, and why; ``content`` is what was sent, as text."""

    event_id: str | None
    code: str
    message: str
    at: str
    content: str | None


class HeldDay(msgspec.Struct, frozen=True):
    """The mastery at the end of a day."""

    date: str
    mastery_score: float
    level: str
    completion: float | None
    quiz: float | None
    quality: float | None
    consistency: float | None


class Export(msgspec.Struct, frozen=True):
    """All that is held about a student. ``events`` is null where only a scan of the log would find them.

    ``document`` is the whole state by its fields' names: ids of applied events are hashes, as hexadecimal text.
    """

    student_id: str
    tenant: str
    exported_at: str
    document: dict[str, Any] | None
    history: list[HeldDay]
    consent: Consent
    audit: list[AuditEntry]
    dead_letters: list[HeldLetter]
    events: list[HeldEvent] | None
    elsewhere: list[StaysUntil]
