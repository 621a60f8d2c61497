"""Batches of calculations that are worked after their acknowledgement, as a store keeps them, and whom they name."""

from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey

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


def names_student(job: BatchJob, key: StudentKey) -> bool:
    """Whether a batch is about a student, or was sent by them or by somebody whose token names them."""
    quoted = msgspec.json.encode(key.student_id)
    return job.tenant == key.tenant and (
        job.subject == key.student_id or any(quoted in part for part in (job.caller, job.request, job.answer or b""))
    )
