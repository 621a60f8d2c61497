"""What a log of learning events promises: durable on return, read in order, read again from any offset.

The log has partitions; a student's events are all in one, in the order of their arrival. What cannot be processed goes
to the dead letters, with its bytes as they came.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, TypeAlias

import msgspec

from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result
from mastery_engine.domain.student import StudentKey

REQUESTS_TOPIC = "mastery.requests"


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where the log keeps an event."""

    partition: int
    offset: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """What the log keeps: bytes as they came, with the time of their receipt.

    ``event_id`` serves where the value has none; "" where none came beside it. ``origin`` is what a log that takes
    events without ids makes one from, by their place: a second reading of the same record gives the same.
    """

    partition: int
    offset: int
    received: Micros
    tenant: str
    key: bytes | None
    value: bytes | None
    event_id: str
    headers: dict[str, str] = {}
    origin: str = ""

    def id_beside(self, outside: str | None = None) -> str:
        """The id of a value that has none: ``outside`` is a CloudEvent's around it; "" where there is no id at all."""
        return self.event_id or outside or (f"{self.origin}:{self.partition}:{self.offset}" if self.origin else "")


class ConsentRecord(msgspec.Struct, frozen=True, gc=False):
    """A student's consent over time, under their keyed hash; ``at`` is when the log took it."""

    name: str
    value: bytes
    at: Micros


class Fading(msgspec.Struct, frozen=True):
    """Where records stay that cannot be taken out singly, and until when; None where that cannot be told."""

    where: str
    until: Micros | None


class Batch(msgspec.Struct, frozen=True):
    """Records that were read together, in order. ``starts`` and ``ends`` (exclusive) are offsets by partition."""

    records: tuple[Record, ...]
    starts: dict[int, int]
    ends: dict[int, int]


class DeadLetter(msgspec.Struct, frozen=True):
    """What could not be processed, and why. ``student_id`` and ``event_id`` stand where they could be read."""

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


# Told the committed offsets of partitions, says from which offset to read each.
Where: TypeAlias = Callable[[Mapping[int, int]], Awaitable[Mapping[int, int]]]


NO_TRACES: Mapping[str, str] = MappingProxyType({})


class EventLog(Protocol):
    """Events in, results and dead letters out. All raise Unavailable when the log is away."""

    async def log_id(self) -> str:
        """The identity of the log: another log never has the same offsets' meaning."""
        ...

    async def append(self, events: Sequence[LearningEvent], traceparent: str | None = None) -> list[Position]:
        """Append events, which are durable on return; their positions in the same order.

        ``traceparent`` goes with them where the log's records have headers.
        """
        ...

    async def ends(self) -> dict[int, int]:
        """For each partition, the offset that the next event will get."""
        ...

    async def committed(self) -> dict[int, int]:
        """For each partition, the offset up to which results have gone out."""
        ...

    def batches(self, where: Where) -> AsyncIterator[Batch | None]:
        """Batches without end, from where ``where`` says; it is asked anew for partitions that come later.

        Yields None when there was nothing to read for a while, so that the reader can look after other things.
        """
        ...

    async def commit(self, ends: Mapping[int, int]) -> None:
        """Everything below these offsets is folded, and its results have gone out."""
        ...

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        """Send results; durable on return. One that was sent before, by its id, is not sent again or can be told.

        ``traceparents`` gives the traces that results belong to, by the results' ids.
        """
        ...

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Put what cannot be processed among the dead letters; the same position again changes nothing.

        ``attempts`` counts the times that the event was put back before.
        """
        ...

    async def dead_letters(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Dead letters by rising ``letter_id``, those after one."""
        ...

    async def dead_letter(self, letter_id: int) -> DeadLetter | None: ...

    async def redrive(self, letter_ids: Sequence[int], at: Micros) -> dict[int, Position]:
        """Put dead letters back into the log once, with their bytes, ids and receipts; where each of them stands now.

        Left out are those that were put back before, and ids of none.
        """
        ...

    async def put_consent(self, name: str, value: bytes, at: Micros) -> None:
        """Keep a student's consent in place of what was kept under the name; durable on return.

        ``at`` is the sender's time; a log with a clock of its own goes by that.
        """
        ...

    async def consents(self, after: int) -> tuple[list[ConsentRecord], int]:
        """The records of consent from a position on (0: all of them), and the position behind the last."""
        ...

    async def held(self, key: StudentKey, *, scan: bool = False) -> list[Record] | None:
        """The student's events; None where only ``scan``, a reading of the whole log, would find them."""
        ...

    def pages(self) -> AsyncIterator[Sequence[Record]]:
        """All events up to the end as it is now, each partition's in order; they are not worked."""
        ...

    async def erase(self, key: StudentKey) -> int:
        """Take out what is the student's, to the last byte; how many records there were. Kafka's stay: ``fading``."""
        ...

    async def scrub(self, positions: Sequence[Position]) -> None:
        """Take out events that must not be kept, to the last byte; Kafka's stay."""
        ...

    async def fading(self, now: Micros) -> list[Fading]:
        """Until when records stay that ``erase`` cannot take out."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove events, results and dead letters that were received before a moment; how many there were."""
        ...

    async def workers(self) -> list[str]:
        """Those in other processes that work the log now, as an operator knows them, where the log can tell."""
        ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...
