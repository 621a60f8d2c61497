"""The part of the SQLite store that keeps cohorts."""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.cohorts.cohort import NO_COHORT, Cohort
from mastery_engine.domain.moments import Day
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.documents import Join, Roster

_VERSIONS = (
    "SELECT tenant, student_id, version "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?)) "
    "JOIN documents USING (tenant, student_id)"
)
_COHORT = "SELECT version, body FROM cohorts WHERE tenant = ? AND cohort_id = ?"
_JOINED = "SELECT student_id FROM cohort_joined WHERE tenant = ? AND cohort_id = ? AND day >= ?"
_JOIN = (
    "INSERT INTO cohort_joined VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET day = max(day, excluded.day) "
    "WHERE excluded.day > day"
)
_LEAVE = "DELETE FROM cohort_joined WHERE tenant = ? AND cohort_id = ? AND student_id = ?"
_PUT = "UPDATE cohorts SET version = version + 1, body = ? WHERE tenant = ? AND cohort_id = ? AND version = ?"
_COHORTS_OF = "SELECT cohort_id FROM cohort_put WHERE tenant = ? AND student_id = ?"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cohort).decode


class SqliteCohorts:
    """See ``Store``."""

    _database: Database

    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        listed = msgspec.json.encode(keys).decode()
        found = {(tenant, name): version for tenant, name, version in self._database.read(_VERSIONS, (listed,))}
        return [found.get(key, 0) for key in keys]

    async def cohort(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        rows = self._database.read(_COHORT, (tenant, cohort_id))
        joined = self._database.read(_JOINED, (tenant, cohort_id, since))
        version, cohort = (rows[0][0], _decode(rows[0][1])) if rows else (0, NO_COHORT)
        return Roster(version, cohort, frozenset(student_id for (student_id,) in joined))

    async def put_cohort(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        body = _encode(cohort)
        put = [(tenant, student_id, cohort_id) for student_id in cohort.put]

        def write(connection: sqlite3.Connection) -> bool:
            if version:
                done = connection.execute(_PUT, (body, tenant, cohort_id, version))
            else:
                done = connection.execute(
                    "INSERT OR IGNORE INTO cohorts VALUES (?, ?, 1, ?)", (tenant, cohort_id, body)
                )
            if not done.rowcount:
                return False
            connection.execute("DELETE FROM cohort_put WHERE tenant = ? AND cohort_id = ?", (tenant, cohort_id))
            connection.executemany("INSERT INTO cohort_put VALUES (?, ?, ?)", put)
            return True

        return await self._database.write(write)

    async def cohorts_of(self, key: StudentKey) -> frozenset[str]:
        return frozenset(cohort_id for (cohort_id,) in self._database.read(_COHORTS_OF, key))

    async def join(self, joins: Sequence[Join]) -> None:
        await self._database.put(_JOIN, [(one.key.tenant, one.cohort_id, one.key.student_id, one.day) for one in joins])

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        await self._database.put(_LEAVE, [(key.tenant, cohort_id, key.student_id) for cohort_id in cohort_ids])
