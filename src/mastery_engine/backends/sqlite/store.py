"""The store on one machine: documents in SQLite."""

import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from mastery_engine.backends.sqlite.cohorts import SqliteCohorts
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.moments import Micros, day_of
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord, bad_cursor
from mastery_engine.ports.checkpoints import Marks, check_marks
from mastery_engine.ports.documents import Change, Held, Refusal
from mastery_engine.ports.jobs import BatchJob, names_student

_LOAD_ONE = "SELECT tenant, student_id, version, body FROM documents WHERE tenant = ? AND student_id = ?"
_LOAD = (
    "SELECT tenant, student_id, version, body "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?)) "
    "JOIN documents USING (tenant, student_id)"
)
_LOAD_COLD = (
    "SELECT tenant, student_id, body "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?)) "
    "JOIN cold_ids USING (tenant, student_id)"
)
_MARKS = "SELECT part, next_offset FROM marks WHERE log_id = ?"
_MOVE_MARK = (
    "INSERT INTO marks VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)"
)
_FLOODS = "SELECT part FROM floods WHERE log_id = ?"
_PUT_FLOOD = "INSERT OR IGNORE INTO floods VALUES (?, ?)"
_END_FLOOD = "DELETE FROM floods WHERE log_id = ? AND part = ?"
_REFUSAL = "SELECT code, message, at FROM refusals WHERE tenant = ? AND student_id = ? AND event_id = ?"
# All rows in one step: each step lets go of Python's lock and waits for it again, while calls are answered beside.
_PUT_AUDIT = (
    "INSERT INTO audit (at, tenant, subject, role, call, student_id, allowed, address, request_id) "
    "SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8 "
    "FROM json_each(?)"
)
_AUDITED = (
    "SELECT at, tenant, subject, role, call, student_id, allowed, address, request_id "
    "FROM audit WHERE tenant = ? ORDER BY seq DESC LIMIT ?"
)
_AUDIT_PAGE = (
    "SELECT at, tenant, subject, role, call, student_id, allowed, address, request_id, seq FROM audit "
    "WHERE tenant = :tenant AND (:before IS NULL OR seq < :before) "
    "AND (:student IS NULL OR student_id = :student) AND (:subject IS NULL OR subject = :subject) "
    "AND (:call IS NULL OR call = :call) AND (:start IS NULL OR at >= :start) AND (:end IS NULL OR at < :end) "
    "AND (:allowed IS NULL OR allowed = :allowed) ORDER BY seq DESC LIMIT :most"
)
_REFUSALS = "SELECT event_id, code, message, at FROM refusals WHERE tenant = ? AND student_id = ? ORDER BY at"
_ALL_BATCHES = (
    "SELECT tenant, batch_id, subject, priority, created, caller, request, answer FROM batches WHERE tenant = ?"
)
_ANSWER_BATCH = "UPDATE batches SET answer = ? WHERE tenant = ? AND batch_id = ?"
_PUT_BATCH = (
    "INSERT OR REPLACE INTO batches (tenant, batch_id, subject, priority, created, caller, request, answer) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_BATCH = (
    "SELECT tenant, batch_id, subject, priority, created, caller, request, answer "
    "FROM batches WHERE tenant = ? AND batch_id = ?"
)
_OPEN_BATCHES = (
    "SELECT tenant, batch_id, subject, priority, created, caller, request, answer "
    "FROM batches WHERE answer IS NULL ORDER BY created"
)
_ERASE = (
    "DELETE FROM documents WHERE tenant = ? AND student_id = ?",
    "DELETE FROM cold_ids WHERE tenant = ? AND student_id = ?",
    "DELETE FROM refusals WHERE tenant = ? AND student_id = ?",
)
_PAGE = 1_000
LONGEST_SEQ = 19
_encode = msgspec.json.Encoder().encode


class SqliteStore(SqliteCohorts):
    """See ``Store``. The file is the database's, which others may share; it is theirs to close."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        rows = self._database.read(_LOAD_ONE, keys[0]) if len(keys) == 1 else self._database.read(_LOAD, _listed(keys))
        held = {(tenant, student_id): Held(version, unpack(body)) for tenant, student_id, version, body in rows}
        return [held.get(key) for key in keys]

    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        rows = self._database.read(_LOAD_COLD, _listed(keys))
        found = {(tenant, student_id): unpack_ids(body) for tenant, student_id, body in rows}
        return [found.get(key, {}) for key in keys]

    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        rows = [
            (
                change.key,
                change.version,
                None if change.student is None else pack(change.student),
                None if change.cold is None else pack_ids(change.cold),
            )
            for change in changes
        ]
        return await self._database.write(lambda connection: [_write(connection, *row) for row in rows])

    async def marks(self, log_id: str) -> Marks:
        return Marks(dict(self._database.read(_MARKS, (log_id,))))

    async def move_marks(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], life: str) -> None:
        del life  # this store does not come back without its last writes
        rows = [(log_id, partition, end) for partition, end in ends.items()]

        def write(connection: sqlite3.Connection) -> None:
            check_marks(dict(connection.execute(_MARKS, (log_id,)).fetchall()), starts)
            connection.executemany(_MOVE_MARK, rows)

        await self._database.write(write)

    async def floods(self, log_id: str) -> set[int]:
        return {partition for (partition,) in self._database.read(_FLOODS, (log_id,))}

    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        await self._database.put(_PUT_FLOOD if flooded else _END_FLOOD, [(log_id, partition)])

    async def note_refusals(self, refusals: Sequence[Refusal]) -> None:
        rows = [(*refusal.key, refusal.event_id, refusal.code, refusal.message, refusal.at) for refusal in refusals]
        await self._database.put("INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?, ?)", rows)

    async def refusal(self, key: StudentKey, event_id: str) -> Refusal | None:
        rows = self._database.read(_REFUSAL, (*key, event_id))
        return Refusal(key, event_id, *rows[0]) if rows else None

    async def students(self) -> AsyncIterator[StudentKey]:
        last = StudentKey("", "")
        while page := self._database.read(
            "SELECT tenant, student_id FROM documents WHERE (tenant, student_id) > (?, ?) ORDER BY 1, 2 LIMIT ?",
            (*last, _PAGE),
        ):
            for row in page:
                last = StudentKey(*row)
                yield last

    async def clear(self) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM documents")
            connection.execute("DELETE FROM cold_ids")
            connection.execute("DELETE FROM cohort_joined")
            connection.execute("DELETE FROM marks")

        await self._database.write(write)

    async def audit(self, records: Sequence[AuditRecord]) -> None:
        rows = msgspec.json.encode([msgspec.structs.astuple(record) for record in records]).decode()
        await self._database.put(_PUT_AUDIT, [(rows,)])

    async def audited(self, tenant: str, *, limit: int) -> list[AuditRecord]:
        return [_audit_record(row) for row in self._database.read(_AUDITED, (tenant, limit))]

    async def audit_page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < LONGEST_SEQ):
            raise bad_cursor()
        before = None if cursor is None else int(cursor)
        values = {**msgspec.structs.asdict(wanted), "tenant": tenant, "before": before, "most": limit + 1}
        rows = self._database.read(_AUDIT_PAGE, values)
        records = [_audit_record(row[:9]) for row in rows[:limit]]
        return AuditPage(records, str(rows[limit - 1][9]) if len(rows) > limit else None)

    async def refusals(self, key: StudentKey) -> list[Refusal]:
        return [Refusal(key, *row) for row in self._database.read(_REFUSALS, key)]

    async def erase(self, key: StudentKey) -> int:
        def write(connection: sqlite3.Connection) -> int:
            removed = 0
            for row in connection.execute(_ALL_BATCHES, (key.tenant,)).fetchall():
                if names_student(BatchJob(*row), key):
                    connection.execute("DELETE FROM batches WHERE tenant = ? AND batch_id = ?", row[:2])
                    removed += 1
            for statement in _ERASE:
                removed += connection.execute(statement, key).rowcount
            return removed

        return await self._database.write(write)

    async def put_batch(self, job: BatchJob) -> None:
        if job.answer is not None:
            await self._database.put(_ANSWER_BATCH, [(job.answer, job.tenant, job.batch_id)])
            return
        await self._database.put(_PUT_BATCH, [msgspec.structs.astuple(job)])

    async def batch(self, tenant: str, batch_id: str) -> BatchJob | None:
        rows = self._database.read(_BATCH, (tenant, batch_id))
        return BatchJob(*rows[0]) if rows else None

    async def open_batches(self) -> list[BatchJob]:
        return [BatchJob(*row) for row in self._database.read(_OPEN_BATCHES)]

    async def purge(self, before: Micros) -> int:
        def write(connection: sqlite3.Connection) -> int:
            audit = connection.execute("DELETE FROM audit WHERE at < ?", (before,)).rowcount
            batches = connection.execute("DELETE FROM batches WHERE created < ?", (before,)).rowcount
            refusals = connection.execute("DELETE FROM refusals WHERE at < ?", (before,)).rowcount
            connection.execute("DELETE FROM cohort_joined WHERE day < ?", (day_of(before),))
            return audit + batches + refusals

        return await self._database.write(write)

    async def ping(self) -> None:
        self._database.read("SELECT 1 FROM marks LIMIT 1")

    async def close(self) -> None:
        await self._database.close()


def _write(
    connection: sqlite3.Connection, key: StudentKey, version: int, body: bytes | None, cold: bytes | None
) -> bool:
    """One compare-and-set: True where the version was still the expected one."""
    if body is None and version == 0:
        return not connection.execute("SELECT 1 FROM documents WHERE tenant = ? AND student_id = ?", key).fetchone()
    if body is None:
        done = connection.execute(
            "DELETE FROM documents WHERE tenant = ? AND student_id = ? AND version = ?", (*key, version)
        )
        if done.rowcount:
            connection.execute("DELETE FROM cold_ids WHERE tenant = ? AND student_id = ?", key)
    elif version == 0:
        done = connection.execute("INSERT OR IGNORE INTO documents VALUES (?, ?, 1, ?)", (*key, body))
    else:
        done = connection.execute(
            "UPDATE documents SET version = version + 1, body = ? WHERE tenant = ? AND student_id = ? AND version = ?",
            (body, *key, version),
        )
    if done.rowcount and body is not None and cold is not None:
        connection.execute("INSERT OR REPLACE INTO cold_ids VALUES (?, ?, ?)", (*key, cold))
    return done.rowcount == 1


def _audit_record(row: Sequence[Any]) -> AuditRecord:
    at, tenant, subject, role, call, student_id, allowed, address, request_id = row
    return AuditRecord(at, tenant, subject, role, call, student_id, bool(allowed), address, request_id)


def _listed(keys: Sequence[StudentKey]) -> tuple[str]:
    return (_encode(keys).decode(),)
