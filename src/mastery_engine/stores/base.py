"""What a store of student documents promises.

A document is read with its version and written with one compare-and-set: who lost the race reads and folds again.
Everything here is batches: one student is a batch of one.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.seen import IdsByDay
from mastery_engine.domain.student import Student, StudentKey


class Held(msgspec.Struct, frozen=True, gc=False):
    """A document as the store has it; ``version`` counts its writes from 1."""

    version: int
    student: Student


class Change(msgspec.Struct, frozen=True, gc=False):
    """A document to be written over ``version`` (0: there is none yet); ``cold`` too, where it is given.

    Without a ``student`` the document and its cold ids are removed.
    """

    key: StudentKey
    version: int
    student: Student | None
    cold: IdsByDay | None = None


class AuditRecord(msgspec.Struct, frozen=True, gc=False):
    """Who did what, to whom, when, from where, and whether they might."""

    at: Micros
    tenant: str
    subject: str
    role: str
    call: str
    student_id: str | None
    allowed: bool
    address: str
    request_id: str


Priority: TypeAlias = Literal["low", "normal", "high"]


class BatchJob(msgspec.Struct, frozen=True):
    """A batch of calculations that is worked after its acknowledgement; ``answer`` is None until it is done.

    ``request`` and ``answer`` are JSON; ``caller`` is who sent it, as JSON too.
    """

    tenant: str
    batch_id: str
    subject: str
    priority: Priority
    created: Micros
    caller: bytes
    request: bytes
    answer: bytes | None = None


class Store(Protocol):
    """Documents, the marks of what they hold, the audit trail, and batches under way.

    All raise Unavailable when the store is away; nothing is half written then.
    """

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        """The documents, in the order of the keys; None where there is none."""
        ...

    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        """The cold ids beside the documents; empty where there are none."""
        ...

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Write each change whose version is still the store's; False for each that lost. Keys do not repeat."""
        ...

    async def marks(self, log_id: str) -> dict[int, int]:
        """For each partition of a log, the offset below which the documents hold everything."""
        ...

    async def set_marks(self, log_id: str, marks: Mapping[int, int]) -> None:
        """Move the marks; to be called after the documents are committed."""
        ...

    def students(self) -> AsyncIterator[StudentKey]:
        """Every student that has a document, in no order."""
        ...

    async def clear(self) -> None:
        """Remove all documents, cold ids and marks in one step; a replay fills them again from the log."""
        ...

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        """Append to the audit trail, durably."""
        ...

    async def audited(self, tenant: str, *, limit: int) -> list[AuditRecord]:
        """The newest records of a tenant, newest first."""
        ...

    async def put_batch(self, job: BatchJob) -> None:
        """Keep a batch, or its answer; durable on return."""
        ...

    async def batch(self, tenant: str, batch_id: str) -> BatchJob | None: ...

    async def open_batches(self) -> list[BatchJob]:
        """Those without an answer, oldest first."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove audit records and batches from before a moment; how many there were."""
        ...

    async def ping(self) -> None:
        """Raise Unavailable where the store does not answer."""
        ...

    async def close(self) -> None: ...
