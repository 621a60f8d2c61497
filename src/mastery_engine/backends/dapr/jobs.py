"""Batches in Dapr's state, listed twice: all of them, and those without an answer."""

from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.backends.dapr.index import DaprIndex, listed, pair_from
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.jobs import BatchJob, names_student

PAGE = 50


class DaprJobs:
    """See ``JobStore``. ``life_s`` is the life of a batch after its last write."""

    def __init__(self, state: DaprState, *, life_s: int) -> None:
        self._state = state
        self._life_s = life_s
        self._all = DaprIndex(state, "batches")
        self._open = DaprIndex(state, "open-batches")

    async def put(self, job: BatchJob) -> None:
        """The batch before the lists, which so name none that is not there."""
        if job.answer is not None:
            await self._answer(job)
            return
        await self._state.change([self._write(job)])
        await self._all.add([_name(job)])
        await self._open.add([_name(job)])

    async def _answer(self, job: BatchJob) -> None:
        """An erasure takes a batch out of the list: an answer that was written meanwhile is removed again."""
        if await self.find(job.tenant, job.batch_id) is None:
            return
        await self._state.change([self._write(job)])
        if _name(job) not in await self._all.members():
            await self._state.change([], [keys.job(job.tenant, job.batch_id)])
        await self._open.discard([_name(job)])

    def _write(self, job: BatchJob) -> Write:
        return Write(keys.job(job.tenant, job.batch_id), job, None, self._life_s)

    async def find(self, tenant: str, batch_id: str) -> BatchJob | None:
        (value,) = await self._state.read([keys.job(tenant, batch_id)])
        return None if value is None else _job(value)

    async def open(self) -> list[BatchJob]:
        jobs = [job async for page in self._read(await self._open.members()) for job in page.values()]
        return sorted((job for job in jobs if job is not None and job.answer is None), key=lambda job: job.created)

    async def erase(self, key: StudentKey) -> int:
        """Each batch is removed before it leaves the list, for a crash between, and after, for an answer that came."""
        removed = 0
        own = [name for name in await self._all.members() if pair_from(name)[0] == key.tenant]
        async for page in self._read(own):
            named = [name for name, job in page.items() if job is not None and names_student(job, key)]
            await self._remove(named)
            removed += len(named)
        return removed

    async def _remove(self, jobs: Sequence[str]) -> None:
        if not jobs:
            return
        gone = [keys.job(*pair_from(name)) for name in jobs]
        await self._state.change([], gone)
        for index in (self._open, self._all):
            await index.discard(jobs)
        await self._state.change([], gone)

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
            yield {name: None if value is None else _job(value) for name, value in zip(page, values, strict=True)}

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


def _job(value: Value) -> BatchJob:
    return msgspec.convert(value.data, BatchJob)


def _name(job: BatchJob) -> str:
    return listed(job.tenant, job.batch_id)
