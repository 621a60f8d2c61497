"""Results in SQLite, a row each: what was sent to nobody else stays to be read."""

from collections.abc import Mapping, Sequence

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.many_rows import insert_rows
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result, message, topic_of
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.result_log import NO_TRACES

_PUBLISH = "INSERT OR IGNORE INTO results (at, topic, event_id, tenant, student_id, value)"
_ERASE = "DELETE FROM results WHERE tenant = ? AND student_id = ?"
_PURGE = "DELETE FROM results WHERE at < ?"

_encode = msgspec.json.Encoder().encode


class SqliteResultLog:
    """See ``ResultLog``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        del traceparents
        rows = []
        for result in results:
            sent = message(result)
            rows.append((result.at, topic_of(result), sent.event_id, sent.tenant, sent.student_id, _encode(sent)))
        await self._database.write(lambda connection: insert_rows(connection, _PUBLISH, rows))

    async def erase(self, key: StudentKey) -> int:
        values = (key.tenant, key.student_id)
        return await self._database.write(lambda connection: connection.execute(_ERASE, values).rowcount)

    async def purge(self, before: Micros) -> int:
        return await self._database.write(lambda connection: connection.execute(_PURGE, (before,)).rowcount)
