"""The audit trail in SQLite."""

from collections.abc import Sequence

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.event_log import SqliteEventLog
from mastery_engine.backends.sqlite.statements import SqliteStatements
from mastery_engine.domain.moments import Micros
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord, bad_cursor

# All rows in one step: each step lets go of Python's lock and waits for it again, while calls are answered beside.
_APPEND = (
    "INSERT INTO audit (at, tenant, subject, role, call, student_id, allowed, address, request_id) "
    "SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8 "
    "FROM json_each(?)"
)
_PAGE = (
    "SELECT json_group_array(json_array(seq, json_object('at', at, 'tenant', tenant, 'subject', subject, 'role', role, "
    "'call', call, 'student_id', student_id, 'allowed', json(iif(allowed, 'true', 'false')), 'address', address, "
    "'request_id', request_id))) FROM ("
    "SELECT * FROM audit WHERE tenant = :tenant AND (:before IS NULL OR seq < :before) "
    "AND (:student IS NULL OR student_id = :student) AND (:subject IS NULL OR subject = :subject) "
    "AND (:call IS NULL OR call = :call) AND (:start IS NULL OR at >= :start) AND (:end IS NULL OR at < :end) "
    "AND (:allowed IS NULL OR allowed = :allowed) ORDER BY seq DESC LIMIT :most)"
)
_PURGE = "DELETE FROM audit WHERE at < ?"
LONGEST_SEQ = 19


_decode = msgspec.json.Decoder(list[tuple[int, AuditRecord]]).decode


class SqliteAuditLog:
    """See ``AuditLog``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, records: Sequence[AuditRecord]) -> None:
        rows = msgspec.json.encode([msgspec.structs.astuple(record) for record in records]).decode()
        await self._database.put(_APPEND, [(rows,)])

    def precedes(self, other: object) -> bool:
        """What shares the database's writer does: it writes in the order in which it is asked."""
        return isinstance(other, SqliteEventLog | SqliteStatements) and other.database is self._database

    async def page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < LONGEST_SEQ):
            raise bad_cursor()
        before = None if cursor is None else int(cursor)
        values = {**msgspec.structs.asdict(wanted), "tenant": tenant, "before": before, "most": limit + 1}
        ((page,),) = await self._database.fetch(_PAGE, values)
        numbered = sorted(_decode(page), key=lambda row: row[0], reverse=True)
        records = [record for _, record in numbered[:limit]]
        return AuditPage(records, str(numbered[limit - 1][0]) if len(numbered) > limit else None)

    async def purge(self, before: Micros) -> int:
        return await self._database.write(lambda connection: connection.execute(_PURGE, (before,)).rowcount)
