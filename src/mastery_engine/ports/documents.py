"""What a store of student documents promises.

A document is read with its version and written with one compare-and-set: who lost the race reads and folds again.
Everything here is batches: one student is a batch of one.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from mastery_engine.domain.cohorts.cohort import Cohort
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.student import Student, StudentKey
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord
from mastery_engine.ports.checkpoints import Marks
from mastery_engine.ports.jobs import BatchJob


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


class Roster(msgspec.Struct, frozen=True):
    """A cohort as the store has it: the admin's word with the number of its writes, and who joined by events."""

    version: int
    cohort: Cohort
    joined: frozenset[str]

    @property
    def members(self) -> frozenset[str]:
        return self.cohort.members(self.joined)

    @property
    def is_known(self) -> bool:
        """Whether an admin or an event ever named it."""
        return bool(self.version or self.joined)


class Join(msgspec.Struct, frozen=True, gc=False):
    """An event of this day (UTC, of its receipt) says that a student is in a cohort."""

    key: StudentKey
    cohort_id: str
    day: Day


class Refusal(msgspec.Struct, frozen=True):
    """Why an event is among the dead letters, for whoever asks what became of it."""

    key: StudentKey
    event_id: str
    code: str
    message: str
    at: Micros


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

    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        """The documents' versions, in the order of the keys; 0 where there is none."""
        ...

    async def cohort(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        """A cohort, with those who joined it by events of ``since`` or later; version 0 where no admin named it."""
        ...

    async def put_cohort(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        """Write an admin's word where ``version`` is still the store's; durable on return. False where it lost."""
        ...

    async def cohorts_of(self, key: StudentKey) -> frozenset[str]:
        """The cohorts that admins put a student in."""
        ...

    async def join(self, joins: Sequence[Join]) -> None:
        """Note who joined by events; to be called before the documents that say so are committed."""
        ...

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        """Take a student out of those who joined these cohorts by events; an admin's word stays."""
        ...

    async def marks(self, log_id: str) -> Marks:
        """The marks of a log, to be read before a batch is folded."""
        ...

    async def move_marks(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], life: str) -> None:
        """Move the marks from ``starts`` to ``ends``; to be called after the documents are committed.

        Raises FellBack, and moves nothing, where a mark is below its start or the store's life is another than
        ``life``: what was committed meanwhile may be gone. A mark never moves back.
        """
        ...

    async def floods(self, log_id: str) -> set[int]:
        """The partitions of a log that are flooded: they are not worked until somebody has looked."""
        ...

    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        """Note that a partition is flooded, or is no longer; durable on return."""
        ...

    async def note_refusals(self, refusals: Sequence[Refusal]) -> None:
        """Keep why events were dead-lettered, for ``refusal``."""
        ...

    async def refusal(self, key: StudentKey, event_id: str) -> Refusal | None:
        """Why an event was dead-lettered, the last time."""
        ...

    def students(self) -> AsyncIterator[StudentKey]:
        """Every student that has a document, in no order; one may come twice."""
        ...

    async def clear(self) -> None:
        """Remove all documents, cold ids, marks and joins in one step; a replay fills them again from the log."""
        ...

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        """Append to the audit trail, durably."""
        ...

    async def audited(self, tenant: str, *, limit: int) -> list[AuditRecord]:
        """The newest records of a tenant, newest first."""
        ...

    async def audit_page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        """The newest records of a tenant that are wanted, or those before a page's cursor. Raises InvalidInput."""
        ...

    async def refusals(self, key: StudentKey) -> list[Refusal]:
        """Why events of a student were dead-lettered, all that is known."""
        ...

    async def erase(self, key: StudentKey) -> int:
        """Remove document, cold ids and refusals of a student, and batches that name them; how many there were.

        The bytes may be in the file still: the log's ``erase`` comes after this one, and sees to both.
        """
        ...

    async def put_batch(self, job: BatchJob) -> None:
        """Keep a batch; durable on return. An answer is kept only where the batch is there still."""
        ...

    async def batch(self, tenant: str, batch_id: str) -> BatchJob | None: ...

    async def open_batches(self) -> list[BatchJob]:
        """Those without an answer, oldest first."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove audit records, batches and refusals from before a moment; how many there were. Old joins go too."""
        ...

    async def ping(self) -> None:
        """Raise Unavailable where the store does not answer."""
        ...

    async def close(self) -> None: ...


class DocumentCache(Protocol):
    """Documents for queries alone: they may be of up to a second ago. A fold loads from the store."""

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        """As the store's. Raises Unavailable."""
        ...

    def forget(self, keys: Iterable[StudentKey]) -> None:
        """These documents have changed."""
        ...

    async def close(self) -> None: ...
