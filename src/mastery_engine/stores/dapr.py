"""The store behind Dapr's state API: documents under ETags, first write wins.

A document's value holds its version, so that any state component will do, whatever its ETags look like. Its cold ids
lie under a key of their own that the document names: they are written first, and count once the document is. Writes
carry ids, by which a batch of which some lost tells which. A removed document leaves a short-lived stone that keeps
its ETag moving: no late writer can bring it back.
"""

import secrets
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from mastery_engine.domain.cohort import Cohort
from mastery_engine.domain.moments import DAY, SECOND, Day, Micros
from mastery_engine.domain.seen import IdsByDay
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.stores.base import (
    AuditFilter,
    AuditPage,
    AuditRecord,
    BatchJob,
    Change,
    Held,
    Join,
    Marks,
    Refusal,
    Roster,
    names_student,
)
from mastery_engine.stores.dapr_client import DaprState, Value, Write
from mastery_engine.stores.dapr_cohorts import DaprCohorts
from mastery_engine.stores.dapr_index import DaprIndex
from mastery_engine.stores.dapr_marks import DaprMarks
from mastery_engine.stores.dapr_trail import DaprTrail

STONE_S = 24 * 3_600
WRITES_KEPT = 8
MOST_KNOWN = 50_000
PAGE = 500


class Kept(msgspec.Struct, frozen=True):
    """A document as it is kept; without a body it is a stone. ``cold`` names the key of its cold ids."""

    version: int
    body: str = ""
    cold: str = ""
    writes: tuple[str, ...] = ()


class DaprStore:
    """See ``Store``. ``retention_days`` is the life of a key after its last write."""

    def __init__(self, state: DaprState, *, retention_days: int) -> None:
        self._state = state
        self._life_s = (retention_days + 1) * DAY // SECOND
        self._students = DaprIndex(state, "students", self._life_s)
        self._marks = DaprMarks(state, self._life_s)
        self._trail = DaprTrail(state, self._life_s)
        self._cohorts = DaprCohorts(state, self._life_s, retention_days + 1)
        self._known: OrderedDict[StudentKey, tuple[Kept, str]] = OrderedDict()

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        found = await self._read(keys)
        return [None if one is None or not one.body else Held(one.version, unpack(_bytes(one.body))) for one in found]

    async def _read(self, keys: Sequence[StudentKey]) -> list[Kept | None]:
        """The documents as they are kept, and what a next write is guarded by noted."""
        values = await self._state.read([_document(key) for key in keys])
        return [self._note(key, value) for key, value in zip(keys, values, strict=True)]

    def _note(self, key: StudentKey, value: Value | None) -> Kept | None:
        self._known.pop(key, None)
        if value is None:
            return None
        kept = msgspec.convert(value.data, Kept)
        self._known[key] = (kept, value.etag)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return kept

    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        kept = await self._read(keys)
        names = [one.cold for one in kept if one is not None and one.cold]
        found = dict(zip(names, await self._state.read(names), strict=True))
        values = [found.get(one.cold) if one is not None else None for one in kept]
        return [{} if value is None else unpack_ids(_bytes(value.data)) for value in values]

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        """Documents that are new are in the index before they are written."""
        if not changes:
            return []
        unknown = [change.key for change in changes if not self._is_current(change)]
        if unknown:
            await self._read(unknown)
        sound = [change for change in changes if self._version(change.key) == change.version]
        guards = {one.key: self._known.get(one.key) for one in sound}  # others read on while this one waits
        await self._students.add([_listed(one.key) for one in sound if one.version == 0 and one.student is not None])
        write_id = secrets.token_hex(4)
        cold = [
            Write(_cold(one.key, write_id), _text(pack_ids(one.cold)), None, self._life_s)
            for one in sound
            if one.student is not None and one.cold
        ]
        if cold:
            await self._state.write(cold)
        writes = {one.key: _document_write(one, guards[one.key], write_id, self._life_s) for one in sound}
        before = {key: guard[0].cold for key, guard in guards.items() if guard is not None}
        took = await self._state.write([write for write in writes.values() if write is not None])
        won = dict.fromkeys(writes, True)
        if not took:
            after = await self._read(list(writes))
            won = {
                key: writes[key] is None or (one is not None and write_id in one.writes)
                for key, one in zip(writes, after, strict=True)
            }
        for key in writes:
            self._known.pop(key, None)
        await self._sweep(sound, before, won, write_id)
        await self._marks.witness()
        return [won.get(change.key, False) for change in changes]

    def _is_current(self, change: Change) -> bool:
        known = self._known.get(change.key)
        return known is not None and bool(known[0].body) and known[0].version == change.version

    def _version(self, key: StudentKey) -> int:
        known = self._known.get(key)
        return known[0].version if known is not None and known[0].body else 0

    async def _sweep(
        self, changes: Sequence[Change], before: Mapping[StudentKey, str], won: Mapping[StudentKey, bool], write_id: str
    ) -> None:
        """Cold ids that no document names: the ones before, or the ones of a write that lost."""
        unnamed = []
        for change in changes:
            if won[change.key] and (change.cold is not None or change.student is None):
                unnamed += [name for name in [before.get(change.key, "")] if name]
            elif not won[change.key] and change.cold:
                unnamed.append(_cold(change.key, write_id))
        await self._state.change([], unnamed)

    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        return [0 if one is None else one.version for one in await self._read(keys)]

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

    async def students(self) -> AsyncIterator[StudentKey]:
        """By the index; students that are in it and have no document any more leave it here."""
        async for names in self._students.pages():
            keys = [StudentKey(*msgspec.json.decode(name, type=tuple[str, str])) for name in names]
            found = await self._state.read([_document(key) for key in keys])
            gone = []
            for key, value in zip(keys, found, strict=True):
                if value is None:
                    gone.append(_listed(key))
                elif msgspec.convert(value.data, Kept).body:
                    yield key
            await self._students.discard(gone)

    async def clear(self) -> None:
        """The marks go first: a crash in between leaves a store that is filled from the log's beginning."""
        await self._marks.clear()
        self._known.clear()
        async for names in self._students.pages():
            keys = [StudentKey(*msgspec.json.decode(name, type=tuple[str, str])) for name in names]
            for start in range(0, len(keys), PAGE):
                part = keys[start : start + PAGE]
                kept = await self._read(part)
                cold = [one.cold for one in kept if one is not None and one.cold]
                await self._state.change([], [*map(_document, part), *cold])
        self._known.clear()
        await self._students.clear()
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
        (kept,) = await self._read([key])
        refused = await self._refused_of(key)
        jobs = [await self.batch(*_pair(name)) for name in await self._set("batches").members()]
        named = [job for job in jobs if job is not None and names_student(job, key)]
        cold = [kept.cold] if kept is not None and kept.cold else []
        batches = [_batch(job.tenant, job.batch_id) for job in named]
        await self._state.change([], [_document(key), *cold, *[_refused(key, one) for one in refused], *batches])
        await self._set("refusals").discard([_encode([*key, one]) for one in refused])
        for listed in ("open-batches", "batches"):
            await self._set(listed).discard([_encode([job.tenant, job.batch_id]) for job in named])
        await self._students.discard([_listed(key)])
        self._known.pop(key, None)
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


def _document_write(change: Change, known: tuple[Kept, str] | None, write_id: str, life_s: int) -> Write | None:
    """The write of a change, guarded by what was read; None where there is nothing to remove."""
    kept, etag = known if known is not None else (Kept(0), None)
    writes = (*kept.writes[1 - WRITES_KEPT :], write_id)
    if change.student is None:
        return Write(_document(change.key), Kept(0, writes=writes), etag, STONE_S) if kept.body else None
    cold = kept.cold if change.cold is None else _cold(change.key, write_id) if change.cold else ""
    body = _text(pack(change.student))
    return Write(_document(change.key), Kept(change.version + 1, body, cold, writes), etag, life_s)


def _pair(name: str) -> tuple[str, str]:
    return msgspec.json.decode(name, type=tuple[str, str])


def _text(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes(text: Any) -> bytes:
    return b64decode(text)


def _built(value: msgspec.Struct) -> Any:
    return msgspec.to_builtins(value)


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _listed(key: StudentKey) -> str:
    return _encode(list(key))


def _document(key: StudentKey) -> str:
    return f"d:{key.tenant}:{key.student_id}"


def _cold(key: StudentKey, write_id: str) -> str:
    return f"c:{key.tenant}:{key.student_id}:{write_id}"


def _refused(key: StudentKey, event_id: str) -> str:
    return f"r:{key.tenant}:{key.student_id}:{event_id}"


def _batch(tenant: str, batch_id: str) -> str:
    return f"b:{tenant}:{batch_id}"


def _floods(log_id: str) -> str:
    return f"floods:{log_id}"
