"""What one SQLite file keeps in order: a record of the audit trail, and the change that follows it."""

import asyncio
from pathlib import Path

from mastery_engine.backends.sqlite.audit_log import SqliteAuditLog
from mastery_engine.backends.sqlite.database import FILE_NAME, Database
from mastery_engine.backends.sqlite.event_log import SqliteEventLog
from mastery_engine.backends.sqlite.statements import SqliteStatements
from mastery_engine.ports.audit_log import AuditRecord
from mastery_engine.ports.statements import StatementRecord
from tests.support.samples import NOW

RECORD = AuditRecord(NOW, "default", "moodle", "teacher", "xapi-statements", None, True, "192.0.2.1", "r-1")
STATEMENT = StatementRecord("6690e6c9-3ef0-4ed3-8b37-7f3964730bee", b"{}", b"digest", NOW, ())


async def test_what_is_asked_of_one_file_after_a_record_is_written_after_it(tmp_path: Path) -> None:
    database, other = Database(tmp_path / FILE_NAME), Database(tmp_path / "other.db")
    log, statements = SqliteAuditLog(database), SqliteStatements(database)
    assert log.precedes(statements)
    assert log.precedes(SqliteEventLog(database))
    assert not log.precedes(SqliteStatements(other))
    writes: list[str] = []
    database._writer.set_trace_callback(writes.append)
    await asyncio.gather(log.append([RECORD]), statements.put("default", [STATEMENT], {}, NOW))
    tables = [table for one in writes for table in ("INTO audit", "INTO statements") if table in one]
    assert tables == ["INTO audit", "INTO statements"]
    await database.close()
    await other.close()
