"""Dead letters as they are shown to operators."""

import msgspec

from mastery_engine.domain.moments import rfc3339
from mastery_engine.ports.dead_letters import DeadLetter, LetterReason, LetterReasons


class ShownLetter(msgspec.Struct, frozen=True):
    """A record that could not be processed, and why; bytes that are not UTF-8 are shown as escapes.

    ``dead_since`` is when it became a dead letter, ``redriven`` when it was put back into the log.
    """

    letter_id: int = msgspec.field(name="id")
    received: str
    dead_since: str
    tenant: str
    student_id: str | None
    event_id: str | None
    code: str
    reason: str
    attempts: int
    redriven: str | None
    topic: str
    partition: int
    offset: int
    headers: dict[str, str]
    key: str | None
    value: str | None


class ShownReason(msgspec.Struct, frozen=True):
    """How many dead letters of one code wait for a redrive, and when the newest of them became one."""

    code: str
    count: int
    newest: str


def shown_reason(reason: LetterReason) -> ShownReason:
    """A reason as it is shown."""
    return ShownReason(reason.code, reason.count, rfc3339(reason.newest))


class ShownReasons(msgspec.Struct, frozen=True):
    """All reasons; ``of_newest`` is among how many letters they were counted, where there are more than were read."""

    reasons: list[ShownReason]
    of_newest: int | None


def shown_reasons(found: LetterReasons) -> ShownReasons:
    """All reasons as they are shown."""
    return ShownReasons([shown_reason(reason) for reason in found.reasons], found.of_newest)


class RedriveOutcome(msgspec.Struct, frozen=True):
    """What came of a redrive of one reason.

    ``failed_again`` counts by code the letters that are dead letters again, ``under_way`` those that nobody has
    processed yet, ``elsewhere`` those that went back to another platform's topic. ``left`` wait still, without those
    that failed again; ``has_more_left`` where they are more than one portion.
    """

    code: str
    until: int
    redriven: int
    processed: int
    failed: int
    failed_again: dict[str, int]
    under_way: int
    elsewhere: int
    left: int
    has_more_left: bool


def shown_letter(letter: DeadLetter) -> ShownLetter:
    """A dead letter as it is shown."""
    return ShownLetter(
        letter_id=letter.letter_id,
        received=rfc3339(letter.received),
        dead_since=rfc3339(letter.at),
        tenant=letter.tenant,
        student_id=letter.student_id,
        event_id=letter.event_id,
        code=letter.code,
        reason=letter.message,
        attempts=letter.attempts,
        redriven=None if letter.redriven is None else rfc3339(letter.redriven),
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        headers={name: _text_of(value.encode(errors="surrogateescape")) for name, value in letter.headers.items()},
        key=None if letter.key is None else _text_of(letter.key),
        value=None if letter.value is None else _text_of(letter.value),
    )


def _text_of(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
