"""Batches in Dapr's state, listed twice: all of them, and those without an answer."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Replacement, Value
from mastery_engine.backends.dapr.index import TOMBSTONE_S, DaprIndex, listed, pair_from
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.jobs import BatchJob, WithoutStudent, answered, names_student

PAGE = 50
TOMBSTONE: Mapping[str, str] = {}


class DaprJobs:
    """See ``JobStore``. ``life_s`` is the life of a batch after its last write."""

    def __init__(self, state: DaprState, *, life_s: int) -> None:
        self._state = state
        self._life_s = life_s
        self._all = DaprIndex(state, "batches")
        self._open = DaprIndex(state, "open-batches")

    async def put(self, job: BatchJob) -> None:
        """The batch before the lists, which so name none that is not there."""
        await self._state.fold({_key(job): lambda stored: None if stored else self._kept(job)})
        await self._all.add([_name(job)])
        await self._open.add([_name(job)])

    async def answer(self, job: BatchJob, answer: bytes) -> bool:
        done = answered(job, answer)
        is_kept = False

        def fold(stored: Any) -> Replacement | None:
            nonlocal is_kept
            held = _job_in(stored)
            is_kept = held in (job, done)  # done, if a write that won is asked again
            return self._kept(done) if held == job else None

        await self._state.fold({_key(job): fold})
        if is_kept:
            await self._open.discard([_name(job)])
        return is_kept

    def _kept(self, job: BatchJob) -> Replacement:
        return Replacement(job, self._life_s)

    async def find(self, tenant: str, batch_id: str) -> BatchJob | None:
        (value,) = await self._state.read([keys.job(tenant, batch_id)])
        return _job(value)

    async def open(self) -> list[BatchJob]:
        jobs = [job async for page in self._read(await self._open.members()) for job in page.values()]
        return sorted((job for job in jobs if job is not None and job.answer is None), key=lambda job: job.created)

    async def of(self, key: StudentKey) -> list[BatchJob]:
        pages = self._read(await self._of_tenant(key.tenant))
        jobs = [job async for page in pages for job in page.values() if job is not None and names_student(job, key)]
        return sorted(jobs, key=lambda job: job.created)

    async def _of_tenant(self, tenant: str) -> list[str]:
        return [name for name in await self._all.members() if pair_from(name)[0] == tenant]

    async def erase(self, key: StudentKey, without: WithoutStudent) -> int:
        changed: set[str] = set()

        def fold(stored: Any) -> Replacement | None:
            job = _job_in(stored)
            left = without(job) if job is not None and names_student(job, key) else job
            if job is None or left == job:
                return None
            changed.add(_name(job))
            return Replacement(TOMBSTONE, TOMBSTONE_S) if left is None else self._kept(left)

        async for page in self._read(await self._of_tenant(key.tenant)):
            named = [name for name, job in page.items() if job is not None and names_student(job, key)]
            await self._state.fold({keys.job(*pair_from(name)): fold for name in named})
        await self._unlist([name for name in changed if await self.find(*pair_from(name)) is None])
        return len(changed)

    async def _remove(self, jobs: Sequence[str]) -> None:
        """Each batch is removed before it leaves the lists, for a crash between."""
        removed = Replacement(TOMBSTONE, TOMBSTONE_S)
        await self._state.fold(
            {keys.job(*pair_from(name)): lambda stored: removed if stored else None for name in jobs}
        )
        await self._unlist(jobs)

    async def _unlist(self, jobs: Sequence[str]) -> None:
        for index in (self._open, self._all) if jobs else ():
            await index.discard(jobs)

    async def purge(self, before: Micros) -> int:
        removed = 0
        async for page in self._read(await self._all.members() | await self._open.members()):
            old = [name for name, job in page.items() if job is not None and job.created < before]
            await self._remove(old)
            removed += len(old)
            gone = [name for name, job in page.items() if job is None]
            await self._open.discard_gone(gone, self._waiting)
            await self._all.discard_gone(gone, self._present)
        for index in (self._open, self._all):
            await index.renew()
        return removed

    async def _read(self, jobs: Iterable[str]) -> AsyncIterator[dict[str, BatchJob | None]]:
        """Batches by their names in the lists, some at a time."""
        names = sorted(jobs)
        for start in range(0, len(names), PAGE):
            page = names[start : start + PAGE]
            values = await self._state.read([keys.job(*pair_from(name)) for name in page])
            yield {name: _job(value) for name, value in zip(page, values, strict=True)}

    async def _present(self, jobs: Sequence[str]) -> list[str]:
        """Which of these batches, by their names in the lists, there are."""
        return [name async for page in self._read(jobs) for name, job in page.items() if job is not None]

    async def _waiting(self, jobs: Sequence[str]) -> list[str]:
        """Which of these batches, by their names in the lists, have no answer yet."""
        return [
            name
            async for page in self._read(jobs)
            for name, job in page.items()
            if job is not None and job.answer is None
        ]


def _job(value: Value | None) -> BatchJob | None:
    return None if value is None else _job_in(value.data)


def _job_in(stored: Any) -> BatchJob | None:
    """The batch that a key holds; None for a tombstone too, so that a late writer loses."""
    return msgspec.convert(stored, BatchJob) if stored else None


def _key(job: BatchJob) -> str:
    return keys.job(job.tenant, job.batch_id)


def _name(job: BatchJob) -> str:
    return listed(job.tenant, job.batch_id)
