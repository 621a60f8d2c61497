"""The store in memory: for tests, and for folds that nobody keeps. It holds packed bytes, as the others do."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from mastery_engine.domain.cohorts.cohort import NO_COHORT, Cohort
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.moments import Day, Micros, day_of
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord, bad_cursor
from mastery_engine.ports.checkpoints import Marks, check_marks
from mastery_engine.ports.documents import Change, Held, Join, Refusal, Roster
from mastery_engine.ports.jobs import BatchJob, names_student


class MemoryStore:
    """See ``Store``."""

    def __init__(self) -> None:
        self._documents: dict[StudentKey, tuple[int, bytes]] = {}
        self._cold: dict[StudentKey, bytes] = {}
        self._cohorts: dict[tuple[str, str], tuple[int, Cohort]] = {}
        self._joined: dict[tuple[str, str], dict[str, Day]] = defaultdict(dict)
        self._marks: dict[str, dict[int, int]] = {}
        self._floods: set[tuple[str, int]] = set()
        self._refusals: dict[tuple[StudentKey, str], Refusal] = {}
        self._audit: list[AuditRecord] = []
        self._batches: dict[tuple[str, str], BatchJob] = {}

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        held = [self._documents.get(key) for key in keys]
        return [None if one is None else Held(one[0], unpack(one[1])) for one in held]

    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        return [unpack_ids(self._cold[key]) if key in self._cold else {} for key in keys]

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        return [self._commit(change) for change in changes]

    def _commit(self, change: Change) -> bool:
        version, _ = self._documents.get(change.key, (0, b""))
        if version != change.version:
            return False
        if change.student is None:
            self._documents.pop(change.key, None)
            self._cold.pop(change.key, None)
            return True
        self._documents[change.key] = (version + 1, pack(change.student))
        if change.cold is not None:
            self._cold[change.key] = pack_ids(change.cold)
        return True

    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        return [self._documents.get(key, (0, b""))[0] for key in keys]

    async def cohort(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        version, cohort = self._cohorts.get((tenant, cohort_id), (0, NO_COHORT))
        joined = self._joined.get((tenant, cohort_id), {})
        return Roster(version, cohort, frozenset(one for one, day in joined.items() if day >= since))

    async def put_cohort(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        if self._cohorts.get((tenant, cohort_id), (0, NO_COHORT))[0] != version:
            return False
        self._cohorts[tenant, cohort_id] = (version + 1, cohort)
        return True

    async def cohorts_of(self, key: StudentKey) -> frozenset[str]:
        return frozenset(
            cohort_id
            for (tenant, cohort_id), (_, cohort) in self._cohorts.items()
            if tenant == key.tenant and key.student_id in cohort.put
        )

    async def join(self, joins: Sequence[Join]) -> None:
        for one in joins:
            joined = self._joined[one.key.tenant, one.cohort_id]
            joined[one.key.student_id] = max(joined.get(one.key.student_id, 0), one.day)

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        for cohort_id in cohort_ids:
            self._joined[key.tenant, cohort_id].pop(key.student_id, None)

    async def marks(self, log_id: str) -> Marks:
        return Marks(dict(self._marks.get(log_id, {})))

    async def move_marks(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], life: str) -> None:
        del life  # this store does not come back without its last writes
        known = self._marks.setdefault(log_id, {})
        check_marks(known, starts)
        known |= {partition: max(known.get(partition, 0), end) for partition, end in ends.items()}

    async def floods(self, log_id: str) -> set[int]:
        return {partition for one, partition in self._floods if one == log_id}

    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        if flooded:
            self._floods.add((log_id, partition))
        else:
            self._floods.discard((log_id, partition))

    async def note_refusals(self, refusals: Sequence[Refusal]) -> None:
        self._refusals |= {(refusal.key, refusal.event_id): refusal for refusal in refusals}

    async def refusal(self, key: StudentKey, event_id: str) -> Refusal | None:
        return self._refusals.get((key, event_id))

    async def students(self) -> AsyncIterator[StudentKey]:
        for key in list(self._documents):
            yield key

    async def clear(self) -> None:
        self._documents.clear()
        self._cold.clear()
        self._joined.clear()
        self._marks.clear()

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        self._audit += records

    async def audited(self, tenant: str, *, limit: int) -> list[AuditRecord]:
        return [record for record in reversed(self._audit) if record.tenant == tenant][:limit]

    async def audit_page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            raise bad_cursor()
        last = len(self._audit) if cursor is None else min(int(cursor), len(self._audit))
        found: list[AuditRecord] = []
        for place in range(last - 1, -1, -1):
            record = self._audit[place]
            if record.tenant == tenant and wanted.wants(record):
                if len(found) == limit:
                    return AuditPage(found, str(place + 1))
                found.append(record)
        return AuditPage(found, None)

    async def refusals(self, key: StudentKey) -> list[Refusal]:
        return [refusal for refusal in self._refusals.values() if refusal.key == key]

    async def erase(self, key: StudentKey) -> int:
        removed = int(self._documents.pop(key, None) is not None) + int(self._cold.pop(key, None) is not None)
        refusals = {place: one for place, one in self._refusals.items() if one.key != key}
        batches = {place: job for place, job in self._batches.items() if not names_student(job, key)}
        removed += len(self._refusals) - len(refusals) + len(self._batches) - len(batches)
        self._refusals, self._batches = refusals, batches
        return removed

    async def put_batch(self, job: BatchJob) -> None:
        if job.answer is None or (job.tenant, job.batch_id) in self._batches:
            self._batches[job.tenant, job.batch_id] = job

    async def batch(self, tenant: str, batch_id: str) -> BatchJob | None:
        return self._batches.get((tenant, batch_id))

    async def open_batches(self) -> list[BatchJob]:
        return sorted((job for job in self._batches.values() if job.answer is None), key=lambda job: job.created)

    async def purge(self, before: Micros) -> int:
        audit = [record for record in self._audit if record.at >= before]
        batches = {place: job for place, job in self._batches.items() if job.created >= before}
        refusals = {place: refusal for place, refusal in self._refusals.items() if refusal.at >= before}
        removed = len(self._audit) - len(audit) + len(self._batches) - len(batches)
        removed += len(self._refusals) - len(refusals)
        for joined in self._joined.values():
            for student_id in [one for one, day in joined.items() if day < day_of(before)]:
                del joined[student_id]
        self._audit, self._batches, self._refusals = audit, batches, refusals
        return removed

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        return
