"""What a store of student documents promises.

A document is read with its version and written with one compare-and-set: who lost the race reads and folds again.
Everything here is batches: one student is a batch of one.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from mastery_engine.domain.cohort import Cohort
from mastery_engine.domain.moments import Day, Micros
from mastery_engine.domain.seen import IdsByDay
from mastery_engine.domain.student import Student, StudentKey
from mastery_engine.errors import FellBack, InvalidInput


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


class Marks(msgspec.Struct, frozen=True):
    """For each partition of a log, the offset below which the documents hold everything.

    ``life`` tells one life of the store's servers from another: with another life, writes may be gone.
    """

    offsets: dict[int, int]
    life: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """Why an event is among the dead letters, for whoever asks what became of it."""

    key: StudentKey
    event_id: str
    code: str
    message: str
    at: Micros


class AuditRecord(msgspec.Struct, frozen=True, gc=False):
    """Who did what, to whom, when, from where, and whether they might.

    ``student_id`` is a keyed hash, and so is a student's own ``subject``: they outlive an erasure.
    """

    at: Micros
    tenant: str
    subject: str
    role: str
    call: str
    student_id: str | None
    allowed: bool
    address: str
    request_id: str


class AuditFilter(msgspec.Struct, frozen=True):
    """Which audit records are wanted; None wants all. ``start`` is included, ``end`` is not."""

    student: str | None = None
    subject: str | None = None
    call: str | None = None
    start: Micros | None = None
    end: Micros | None = None
    allowed: bool | None = None

    def wants(self, record: "AuditRecord") -> bool:
        return (
            self.student in (None, record.student_id)
            and self.subject in (None, record.subject)
            and self.call in (None, record.call)
            and (self.start is None or record.at >= self.start)
            and (self.end is None or record.at < self.end)
            and self.allowed in (None, record.allowed)
        )


class AuditPage(msgspec.Struct, frozen=True):
    """Some audit records, newest first; ``cursor`` leads to those before them, None where there are none."""

    records: list[AuditRecord]
    cursor: str | None


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


class KeptKey(NamedTuple):
    """What was worked out (``kind``: forecast, cohort, …), and about whom: a student's id, or a cohort's."""

    tenant: str
    subject: str
    kind: str


class Kept(Protocol):
    """What costs more than a read, for five minutes: the L2 cache, shared by all replicas where the store is.

    A value is found only under the version that it was worked out from. A cache that is away has nothing, and loses
    what it is given: neither raises.
    """

    async def kept(self, key: KeptKey, version: int) -> bytes | None:
        """What was kept of this version, if it still is."""
        ...

    async def keep(self, key: KeptKey, version: int, value: bytes) -> None: ...

    async def drop(self, tenant: str, subject: str) -> None:
        """Forget all kinds about a student or cohort, as an erasure does. Raises Unavailable."""
        ...

    async def close(self) -> None: ...


def names_student(job: BatchJob, key: StudentKey) -> bool:
    """Whether a batch is about a student, or was sent by them or by somebody whose token names them."""
    quoted = msgspec.json.encode(key.student_id)
    return job.tenant == key.tenant and (
        job.subject == key.student_id or any(quoted in part for part in (job.caller, job.request, job.answer or b""))
    )


def bad_cursor() -> InvalidInput:
    return InvalidInput("This cursor is none of ours: leave it out to begin anew.", field="cursor")


def check_marks(known: Mapping[int, int], starts: Mapping[int, int]) -> None:
    """Raises FellBack where a mark is below the start of what was folded on top of it."""
    for partition, start in starts.items():
        if known.get(partition, 0) < start:
            raise FellBack(
                f"The store holds partition {partition} up to {known.get(partition, 0)} only, not {start}: "
                "it is filled again from the log."
            )
