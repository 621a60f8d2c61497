"""Refusals in SQLite."""

from collections.abc import Sequence

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.refusals import Refusal

_PUT = "INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?)"
_FIND = """
    SELECT code, message, at, course_id FROM refusals
    WHERE tenant = ? AND student_id = ? AND event_id = ? AND course_id = coalesce(?, course_id) ORDER BY at DESC LIMIT 1
"""
_OF = """
    SELECT json_group_array(json_array(event_id, code, message, at, course_id)) FROM refusals
    WHERE tenant = ? AND student_id = ?
"""
_ERASE = "DELETE FROM refusals WHERE tenant = ? AND student_id = ?"
_PURGE = "DELETE FROM refusals WHERE at < ?"

_decode = msgspec.json.Decoder(list[tuple[str, str, str, int, str]]).decode


class SqliteRefusals:
    """See ``RefusalStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, refusals: Sequence[Refusal]) -> None:
        rows = [(*one.key, one.event_id, one.code, one.message, one.at, one.course_id) for one in refusals]
        await self._database.put(_PUT, rows)

    async def find(self, key: StudentKey, event_id: str, *, course_id: str | None = None) -> Refusal | None:
        rows = self._database.read(_FIND, (*key, event_id, course_id))
        return Refusal(key, event_id, *rows[0]) if rows else None

    async def of(self, key: StudentKey) -> list[Refusal]:
        ((rows,),) = await self._database.fetch(_OF, key)
        return sorted((Refusal(key, *row) for row in _decode(rows)), key=lambda refusal: refusal.at)

    async def erase(self, key: StudentKey) -> int:
        return await self._database.write(lambda connection: connection.execute(_ERASE, key).rowcount)

    async def purge(self, before: Micros) -> int:
        return await self._database.write(lambda connection: connection.execute(_PURGE, (before,)).rowcount)
