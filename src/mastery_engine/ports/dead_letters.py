"""Dead letters: what could not be processed, with its bytes as they came, and why."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.event_log import Position, Record


class DeadLetter(msgspec.Struct, frozen=True):
    """What could not be processed, and why. ``student_id`` and ``event_id`` are given where they could be read.

    ``attempts`` counts how often the event was tried.
    """

    topic: str
    partition: int
    offset: int
    tenant: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]
    received: Micros
    student_id: str | None
    event_id: str | None
    code: str
    message: str
    attempts: int
    at: Micros
    redriven: Micros | None = None
    letter_id: int = 0


def letter_of(
    topic: str,
    record: Record,
    code: str,
    message: str,
    at: Micros,
    *,
    student_id: str | None = None,
    event_id: str | None = None,
) -> DeadLetter:
    """The letter of a record that was tried for the first time: the record as it came, and why it is one."""
    return DeadLetter(
        topic,
        record.partition,
        record.offset,
        record.tenant,
        record.key,
        record.value,
        record.headers,
        record.received,
        student_id,
        event_id,
        code,
        message,
        1,
        at,
    )


class LetterReason(msgspec.Struct, frozen=True):
    """How many dead letters of one code wait for somebody, and when the newest of them became one."""

    code: str
    count: int
    newest: Micros


class LetterReasons(msgspec.Struct, frozen=True):
    """The codes of letters that wait; ``of_newest`` is among how many they were counted, None where among all."""

    reasons: list[LetterReason]
    of_newest: int | None = None


def reasons_among(waiting: Iterable[tuple[str, Micros]]) -> list[LetterReason]:
    """The reasons of letters that wait, by the code and the moment of each."""
    moments: dict[str, list[Micros]] = {}
    for code, at in waiting:
        moments.setdefault(code, []).append(at)
    return [LetterReason(code, len(times), max(times)) for code, times in sorted(moments.items())]


def with_code_among(
    letters: Iterable[DeadLetter], tenant: str, code: str, *, before: int | None, limit: int
) -> list[DeadLetter]:
    """What ``DeadLetterQueue.with_code`` gives, where all letters are at hand."""
    chosen = [
        letter
        for letter in letters
        if (letter.tenant, letter.code) == (tenant, code) and (before is None or letter.letter_id < before)
    ]
    return sorted(chosen, key=lambda letter: -letter.letter_id)[:limit]


class DeadLetterQueue(Protocol):
    """Dead letters in, and out again by an operator. All calls raise Unavailable when the log is away."""

    async def append(self, letters: Sequence[DeadLetter]) -> None:
        """Put what cannot be processed among the dead letters; the same position again changes nothing.

        The queue adds to ``attempts`` the times that the event was redriven before.
        """
        ...

    async def page(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters by rising ``letter_id``, those after one."""
        ...

    async def find(self, letter_id: int) -> DeadLetter | None:
        """One dead letter; None where there is none with this id."""
        ...

    async def reasons(self, tenant: str) -> LetterReasons:
        """The codes of a tenant's dead letters that were not redriven, in alphabetical order."""
        ...

    async def with_code(self, tenant: str, code: str, *, before: int | None, limit: int) -> list[DeadLetter]:
        """A tenant's dead letters of one code by falling ``letter_id``, those before one; redriven ones too."""
        ...

    async def waiting(self, tenant: str, code: str, *, until: Micros, limit: int) -> list[DeadLetter]:
        """A tenant's dead letters of one code that can be redriven, oldest first.

        Those that became one after ``until`` are left out, so that what fails again is not met again.
        """
        ...

    async def codes_at(self, positions: Sequence[Position]) -> dict[Position, str]:
        """Which of these records of the log are dead letters, and by which code."""
        ...

    async def redrive(self, letter_ids: Sequence[int], at: Micros) -> Mapping[int, Position | None]:
        """Put dead letters back into the log once, with their bytes, ids and receipts; where each of them is now.

        What came by another platform's topic goes back there, and has no position in the log. Left out are those that
        were redriven before, and ids of none.
        """
        ...

    async def erase(self, key: StudentKey) -> int:
        """Take out the student's dead letters; how many there were. Kafka's stay: ``EventLog.retained_until``."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove dead letters whose record was received before a moment; how many there were."""
        ...
