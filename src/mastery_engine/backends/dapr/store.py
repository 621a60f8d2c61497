"""The store behind Dapr's state API, which cannot list keys: what is to be found again stands in an index.

Documents, cohorts, marks and the audit trail have rooms of their own; refusals and batches are here.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from mastery_engine.backends.dapr.audit_log import DaprTrail
from mastery_engine.backends.dapr.checkpoints import DaprMarks
from mastery_engine.backends.dapr.client import DaprState, Write
from mastery_engine.backends.dapr.cohorts import DaprCohorts
from mastery_engine.backends.dapr.documents import DaprDocuments, document
from mastery_engine.backends.dapr.index import DaprIndex
from mastery_engine.domain.cohorts.cohort import Cohort
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.moments import DAY, SECOND, Day, Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord
from mastery_engine.ports.checkpoints import Marks
from mastery_engine.ports.documents import Change, Held, Join, Refusal, Roster
from mastery_engine.ports.jobs import BatchJob, names_student

PAGE = 500


class DaprStore:
    """See ``Store``. ``retention_days`` is the life of a key after its last write."""

    def __init__(self, state: DaprState, *, retention_days: int) -> None:
        self._state = state
        self._life_s = (retention_days + 1) * DAY // SECOND
        self._documents = DaprDocuments(state, self._life_s)
        self._marks = DaprMarks(state, self._life_s)
        self._trail = DaprTrail(state, self._life_s)
        self._cohorts = DaprCohorts(state, self._life_s, retention_days + 1)

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        return await self._documents.load(keys)

    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        return await self._documents.load_cold(keys)

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        won = await self._documents.commit(changes)
        if changes:
            await self._marks.witness()
        return won

    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        return await self._documents.versions(keys)

    async def cohort(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        return await self._cohorts.cohort(tenant, cohort_id, since=since)

    async def put_cohort(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        return await self._cohorts.put_cohort(tenant, cohort_id, version, cohort)

    async def cohorts_of(self, key: StudentKey) -> frozenset[str]:
        return await self._cohorts.cohorts_of(key)

    async def join(self, joins: Sequence[Join]) -> None:
        await self._cohorts.join(joins)

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        await self._cohorts.leave(key, cohort_ids)

    async def marks(self, log_id: str) -> Marks:
        return await self._marks.read(log_id)

    async def move_marks(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], life: str) -> None:
        await self._marks.move(log_id, starts, ends, life)

    async def floods(self, log_id: str) -> set[int]:
        return {int(partition) for partition in await self._set(_floods(log_id)).members()}

    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        held = self._set(_floods(log_id))
        await (held.add([str(partition)]) if flooded else held.discard([str(partition)]))

    def _set(self, name: str) -> DaprIndex:
        return DaprIndex(self._state, name, self._life_s, shards=1)

    async def note_refusals(self, refusals: Sequence[Refusal]) -> None:
        writes = [Write(_refused(one.key, one.event_id), _built(one), None, self._life_s) for one in refusals]
        await self._set("refusals").add([_encode([*one.key, one.event_id]) for one in refusals])
        for start in range(0, len(writes), PAGE):
            await self._state.change(writes[start : start + PAGE])

    async def refusal(self, key: StudentKey, event_id: str) -> Refusal | None:
        (found,) = await self._state.read([_refused(key, event_id)])
        return None if found is None else msgspec.convert(found.data, Refusal)

    def students(self) -> AsyncIterator[StudentKey]:
        return self._documents.students()

    async def clear(self) -> None:
        """The marks go first: a crash in between leaves a store that is filled from the log's beginning."""
        await self._marks.clear()
        await self._documents.clear()
        await self._cohorts.drop_joins()

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        await self._trail.append(records)

    async def audited(self, tenant: str, *, limit: int) -> list[AuditRecord]:
        return await self._trail.newest(tenant, limit)

    async def audit_page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        return await self._trail.page(tenant, wanted, limit, cursor)

    async def refusals(self, key: StudentKey) -> list[Refusal]:
        found = await self._state.read([_refused(key, event_id) for event_id in await self._refused_of(key)])
        return sorted((msgspec.convert(one.data, Refusal) for one in found if one is not None), key=lambda one: one.at)

    async def _refused_of(self, key: StudentKey) -> list[str]:
        names = [msgspec.json.decode(name, type=tuple[str, str, str]) for name in await self._set("refusals").members()]
        return [event_id for tenant, student_id, event_id in names if (tenant, student_id) == key]

    async def erase(self, key: StudentKey) -> int:
        """The document leaves no stone: who writes after an erasure finds nothing and folds anew."""
        (kept,) = await self._documents.read([key])
        refused = await self._refused_of(key)
        jobs = [await self.batch(*_pair(name)) for name in await self._set("batches").members()]
        named = [job for job in jobs if job is not None and names_student(job, key)]
        cold = [kept.cold] if kept is not None and kept.cold else []
        batches = [_batch(job.tenant, job.batch_id) for job in named]
        await self._state.change([], [document(key), *cold, *[_refused(key, one) for one in refused], *batches])
        await self._set("refusals").discard([_encode([*key, one]) for one in refused])
        for listed in ("open-batches", "batches"):
            await self._set(listed).discard([_encode([job.tenant, job.batch_id]) for job in named])
        await self._documents.forget(key)
        return int(kept is not None and bool(kept.body)) + len(cold) + len(refused) + len(named)

    async def put_batch(self, job: BatchJob) -> None:
        """The batch first: the lists name none that is not there. An answer is kept only where the batch is."""
        if job.answer is not None and await self.batch(job.tenant, job.batch_id) is None:
            return
        await self._state.change([Write(_batch(job.tenant, job.batch_id), _built(job), None, self._life_s)])
        waiting, name = self._set("open-batches"), _encode([job.tenant, job.batch_id])
        await self._set("batches").add([name])
        await (waiting.add([name]) if job.answer is None else waiting.discard([name]))

    async def batch(self, tenant: str, batch_id: str) -> BatchJob | None:
        (found,) = await self._state.read([_batch(tenant, batch_id)])
        return None if found is None else msgspec.convert(found.data, BatchJob)

    async def open_batches(self) -> list[BatchJob]:
        names = [msgspec.json.decode(name, type=tuple[str, str]) for name in await self._set("open-batches").members()]
        found = [await self.batch(*name) for name in names]
        return sorted((job for job in found if job is not None and job.answer is None), key=lambda job: job.created)

    async def purge(self, before: Micros) -> int:
        """Documents and answered batches expire by themselves."""
        removed = await self._trail.purge(before)
        await self._cohorts.drop_joins(before // DAY)
        for job in await self.open_batches():
            if job.created < before:
                for listed in ("open-batches", "batches"):
                    await self._set(listed).discard([_encode([job.tenant, job.batch_id])])
                await self._state.change([], [_batch(job.tenant, job.batch_id)])
                removed += 1
        return removed + await self._purge_refusals(before)

    async def _purge_refusals(self, before: Micros) -> int:
        listed = self._set("refusals")
        names = sorted(await listed.members())
        triples = [msgspec.json.decode(name, type=tuple[str, str, str]) for name in names]
        keys = [_refused(StudentKey(tenant, student), event_id) for tenant, student, event_id in triples]
        found = await self._state.read(keys)
        old = [
            place
            for place, value in enumerate(found)
            if value is not None and msgspec.convert(value.data, Refusal).at < before
        ]
        await self._state.change([], [keys[place] for place in old])
        missing = [place for place, value in enumerate(found) if value is None]
        await listed.discard([names[place] for place in (*old, *missing)])
        return len(old)

    async def ping(self) -> None:
        await self._state.ping()

    async def close(self) -> None:
        await self._state.close()


def _pair(name: str) -> tuple[str, str]:
    return msgspec.json.decode(name, type=tuple[str, str])


def _built(value: msgspec.Struct) -> Any:
    return msgspec.to_builtins(value)


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _refused(key: StudentKey, event_id: str) -> str:
    return f"r:{key.tenant}:{key.student_id}:{event_id}"


def _batch(tenant: str, batch_id: str) -> str:
    return f"b:{tenant}:{batch_id}"


def _floods(log_id: str) -> str:
    return f"floods:{log_id}"
