"""Batches in memory."""

from collections.abc import Sequence

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.jobs import BatchJob, WithoutStudent, answered, names_student


class MemoryJobs:
    """See ``JobStore``."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[str, str], BatchJob] = {}

    async def put(self, job: BatchJob) -> None:
        self._jobs.setdefault((job.tenant, job.batch_id), job)

    async def answer(self, job: BatchJob, answer: bytes) -> bool:
        is_unchanged = self._jobs.get((job.tenant, job.batch_id)) == job
        if is_unchanged:
            self._jobs[job.tenant, job.batch_id] = answered(job, answer)
        return is_unchanged

    async def find(self, tenant: str, batch_id: str) -> BatchJob | None:
        return self._jobs.get((tenant, batch_id))

    async def open(self) -> list[BatchJob]:
        return sorted((job for job in self._jobs.values() if job.answer is None), key=lambda job: job.created)

    async def of(self, key: StudentKey) -> list[BatchJob]:
        return sorted((job for job in self._jobs.values() if names_student(job, key)), key=lambda job: job.created)

    async def erase(self, key: StudentKey, without: WithoutStudent) -> int:
        changed = 0
        for name, job in list(self._jobs.items()):
            left = without(job) if names_student(job, key) else job
            if left is None:
                del self._jobs[name]
            else:
                self._jobs[name] = left
            changed += left != job
        return changed

    async def purge(self, before: Micros) -> int:
        return self._keep_only([job for job in self._jobs.values() if job.created >= before])

    def _keep_only(self, jobs: Sequence[BatchJob]) -> int:
        """Remove all others; how many there were."""
        removed = len(self._jobs) - len(jobs)
        self._jobs = {(job.tenant, job.batch_id): job for job in jobs}
        return removed
