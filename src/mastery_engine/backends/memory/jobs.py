"""Batches in memory."""

from collections.abc import Sequence

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.jobs import BatchJob, names_student


class MemoryJobs:
    """See ``JobStore``."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str], BatchJob] = {}

    async def put(self, job: BatchJob) -> None:
        if job.answer is None or (job.tenant, job.batch_id) in self._jobs:
            self._jobs[job.tenant, job.batch_id] = job

    async def find(self, tenant: str, batch_id: str) -> BatchJob | None:
        return self._jobs.get((tenant, batch_id))

    async def open(self) -> list[BatchJob]:
        return sorted((job for job in self._jobs.values() if job.answer is None), key=lambda job: job.created)

    async def erase(self, key: StudentKey) -> int:
        return self._keep_only([job for job in self._jobs.values() if not names_student(job, key)])

    async def purge(self, before: Micros) -> int:
        return self._keep_only([job for job in self._jobs.values() if job.created >= before])

    def _keep_only(self, jobs: Sequence[BatchJob]) -> int:
        """Remove all others; how many there were."""
        removed = len(self._jobs) - len(jobs)
        self._jobs = {(job.tenant, job.batch_id): job for job in jobs}
        return removed
