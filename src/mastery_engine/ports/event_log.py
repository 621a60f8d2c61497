"""The log of learning events: durable on return, read in order, read again from any offset.

The log has partitions; a student's events are all in one, in the order of their arrival.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import msgspec

from mastery_engine.domain.events.event import LearningEvent, encode
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey

REQUESTS_TOPIC = "mastery.requests"
MOST_IN_PAGE = 1_000


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where the log keeps an event."""

    partition: int
    offset: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """What the log keeps: bytes as they came, with the time of their receipt.

    ``event_id`` serves where the value has none; "" where none came beside it. ``origin`` is what a log that takes
    events without ids makes one from, by their place: a second reading of the same record gives the same.
    ``event`` is what the value holds, where this process decoded it to append it: it is not decoded again.
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
    event: LearningEvent | None = None

    def id_beside(self, outside: str | None = None) -> str:
        """The id of a value that has none: ``outside`` is a CloudEvent's around it; "" where there is no id at all."""
        return self.event_id or outside or (f"{self.origin}:{self.partition}:{self.offset}" if self.origin else "")


class RetainedUntil(msgspec.Struct, frozen=True):
    """Where records stay that cannot be taken out singly, and until when; None where that cannot be told."""

    where: str
    until: Micros | None


class Batch(msgspec.Struct, frozen=True):
    """Records that were read together, in order. ``starts`` and ``ends`` (exclusive) are offsets by partition."""

    records: tuple[Record, ...]
    starts: dict[int, int]
    ends: dict[int, int]


# Given the committed offsets of partitions, says from which offset to read each.
StartOffsets: TypeAlias = Callable[[Mapping[int, int]], Awaitable[Mapping[int, int]]]


def kept_values(events: Sequence[LearningEvent], values: Sequence[bytes | None] | None) -> list[bytes]:
    """The documents that a log keeps of events, by what ``EventLog.append`` is given."""
    if values is None:
        return [encode(event) for event in events]
    return [encode(event) if value is None else value for event, value in zip(events, values, strict=True)]


class EventLog(Protocol):
    """Learning events in, and out in batches. All calls raise Unavailable when the log is away."""

    async def log_id(self) -> str:
        """The identity of the log: another log never has the same offsets' meaning."""
        ...

    async def append(
        self,
        events: Sequence[LearningEvent],
        traceparent: str | None = None,
        values: Sequence[bytes | None] | None = None,
    ) -> list[Position]:
        """Append events, which are durable on return; their positions in the same order.

        ``traceparent`` goes with them where the log's records have headers. ``values`` are the documents that the
        events were decoded from, which the log keeps as they are; None for an event that it is to write itself.
        """
        ...

    async def ends(self) -> dict[int, int]:
        """For each partition, the offset that the next event will get."""
        ...

    async def committed(self) -> dict[int, int]:
        """For each partition, the offset up to which results have gone out."""
        ...

    def batches(self, start_offsets: StartOffsets) -> AsyncIterator[Batch | None]:
        """Batches without end, from where ``start_offsets`` says; it is asked anew for partitions that come later.

        Yields None when there was nothing to read for a while, so that the reader can look after other things.
        """
        ...

    async def commit(self, ends: Mapping[int, int]) -> None:
        """Everything below these offsets is folded, and its results have gone out."""
        ...

    async def events_of(self, key: StudentKey, *, scan: bool = False) -> list[Record] | None:
        """The student's events; None where only ``scan``, a reading of the whole log, would find them."""
        ...

    def pages(self) -> AsyncIterator[Sequence[Record]]:
        """All events up to the end as it is now, each partition's in order, in pages; they are not worked.

        A page has at most ``MOST_IN_PAGE`` records, so that the memory for a reading does not grow with the log.
        """
        ...

    async def erase(self, key: StudentKey) -> int:
        """Take out the student's events, to the last byte; how many there were. Kafka's stay: ``retained_until``.

        It comes last in an erasure: where other parts share a file with the log, their bytes go with this too.
        """
        ...

    async def scrub(self, positions: Sequence[Position]) -> None:
        """Take out events that must not be kept, to the last byte; Kafka's stay."""
        ...

    async def retained_until(self, now: Micros) -> list[RetainedUntil]:
        """Until when records stay that ``erase`` cannot take out."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove events that were received before a moment; how many there were."""
        ...

    async def workers(self) -> list[str]:
        """Those in other processes that work the log now, as an operator knows them, where the log can tell."""
        ...
