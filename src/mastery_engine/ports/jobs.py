"""Batches of calculations that are worked after their acknowledgement, and whom they name."""

from typing import Literal, Protocol, TypeAlias

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey

JobPriority: TypeAlias = Literal["low", "normal", "high"]


class BatchJob(msgspec.Struct, frozen=True):
    """A batch of calculations that is worked after its acknowledgement; ``answer`` is None until it is done.

    ``request`` and ``answer`` are JSON; ``caller`` is who sent it, as JSON too.
    """

    tenant: str
    batch_id: str
    subject: str
    priority: JobPriority
    created: Micros
    caller: bytes
    request: bytes
    answer: bytes | None = None


class JobStore(Protocol):
    """Batches by tenant and id. All calls raise Unavailable when the store is away."""

    async def put(self, job: BatchJob) -> None:
        """Keep a batch; durable on return. An answer is kept only where the batch is still there."""
        ...

    async def find(self, tenant: str, batch_id: str) -> BatchJob | None:
        """The batch; None where there is none."""
        ...

    async def open(self) -> list[BatchJob]:
        """Those without an answer, oldest first."""
        ...

    async def erase(self, key: StudentKey) -> int:
        """Remove the batches that name a student, or that they sent; how many there were."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove batches from before a moment; how many there were."""
        ...


def names_student(job: BatchJob, key: StudentKey) -> bool:
    """Whether a batch is about a student, or was sent by them or by somebody whose token names them."""
    quoted = msgspec.json.encode(key.student_id)
    return job.tenant == key.tenant and (
        job.subject == key.student_id or any(quoted in part for part in (job.caller, job.request, job.answer or b""))
    )
