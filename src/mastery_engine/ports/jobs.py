"""Batches of calculations that are worked after their acknowledgement, and whom they name."""

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey

JobPriority: TypeAlias = Literal["low", "normal", "high"]


class BatchJob(msgspec.Struct, frozen=True):
    """A batch of calculations that is worked after its acknowledgement; ``answer`` is None until it is done.

    ``request`` and ``answer`` are JSON; ``caller`` is who sent it, as JSON too. An answered batch has its answer alone:
    nothing needs the others any more, and they name students.
    """

    tenant: str
    batch_id: str
    subject: str
    priority: JobPriority
    created: Micros
    caller: bytes
    request: bytes
    answer: bytes | None = None


# From a batch that names a student to the batch without them; None if nothing of it is to be kept.
WithoutStudent: TypeAlias = Callable[[BatchJob], BatchJob | None]


def answered(job: BatchJob, answer: bytes) -> BatchJob:
    """The batch as it is kept with its answer."""
    return msgspec.structs.replace(job, caller=b"", request=b"", answer=answer)


class JobStore(Protocol):
    """Batches by tenant and id. All calls raise Unavailable when the store is away."""

    async def put(self, job: BatchJob) -> None:
        """Keep a new batch; durable on return. A batch that is there already stays as it is."""
        ...

    async def answer(self, job: BatchJob, answer: bytes) -> bool:
        """Keep the answer to a batch as it was found; durable on return.

        False if the batch is gone, or was answered or changed meanwhile, as an erasure does: then nothing is kept.
        """
        ...

    async def find(self, tenant: str, batch_id: str) -> BatchJob | None:
        """The batch; None where there is none."""
        ...

    async def open(self) -> list[BatchJob]:
        """Those without an answer, oldest first."""
        ...

    async def of(self, key: StudentKey) -> list[BatchJob]:
        """The batches that ``names_student`` finds, oldest first."""
        ...

    async def erase(self, key: StudentKey, without: WithoutStudent) -> int:
        """Change the batches that ``names_student`` finds to what ``without`` makes of them; how many it changed."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove batches from before a moment; how many there were."""
        ...


def names_student(job: BatchJob, key: StudentKey) -> bool:
    """Whether a batch may be about a student, or was sent by them or by somebody whose token names them."""
    quoted = msgspec.json.encode(key.student_id)
    return job.tenant == key.tenant and (
        job.subject == key.student_id or any(quoted in part for part in (job.caller, job.request, job.answer or b""))
    )
