"""Cohorts in SQLite. What a student's question needs of a cohort stands in rows beside its body."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.cohorts.cohort import MOST_MEMBERS, NO_COHORT, Cohort, Due, Naming
from mastery_engine.domain.moments import Day
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.ports.cohorts import Join, Roster

_ROSTER = """
    SELECT (SELECT version FROM cohorts WHERE tenant = :tenant AND cohort_id = :cohort_id),
        (SELECT body FROM cohorts WHERE tenant = :tenant AND cohort_id = :cohort_id),
        (SELECT json_group_array(student_id) FROM cohort_joined
            WHERE tenant = :tenant AND cohort_id = :cohort_id AND day >= :since),
        (SELECT json_array(received, course_id) FROM cohort_first WHERE tenant = :tenant AND cohort_id = :cohort_id)
"""
_ADD = "INSERT OR IGNORE INTO cohorts VALUES (?, ?, 1, ?)"
_CHANGE = "UPDATE cohorts SET version = version + 1, body = ? WHERE tenant = ? AND cohort_id = ? AND version = ?"
_FORGET = (
    "DELETE FROM cohort_put WHERE tenant = ? AND cohort_id = ?",
    "DELETE FROM cohort_out WHERE tenant = ? AND cohort_id = ?",
    "DELETE FROM cohort_calendars WHERE tenant = ? AND cohort_id = ?",
    "DELETE FROM cohort_teachers WHERE tenant = ? AND cohort_id = ?",
)
_PUT_INTO = "SELECT cohort_id FROM cohort_put WHERE tenant = ? AND student_id = ?"
_TAUGHT_BY = "SELECT cohort_id FROM cohort_teachers WHERE tenant = ? AND name = ?"
_HAS_CALENDARS = "SELECT 1 FROM cohort_calendars WHERE tenant = ? LIMIT 1"
_CALENDARS = """
    WITH entered AS (
        SELECT cohort_id FROM cohort_put WHERE tenant = :tenant AND student_id = :student_id
        UNION
        SELECT cohort_id FROM cohort_joined
            WHERE tenant = :tenant AND cohort_id IN (NAMED) AND student_id = :student_id AND day >= :since
    )
    SELECT cohort_id, body FROM entered JOIN cohort_calendars USING (cohort_id) WHERE tenant = :tenant
        AND :course_id = coalesce(course_id, (
            SELECT course_id FROM cohort_first AS first
            WHERE first.tenant = :tenant AND first.cohort_id = cohort_calendars.cohort_id
        ), 'default')
        AND cohort_id NOT IN (SELECT cohort_id FROM cohort_out WHERE tenant = :tenant AND student_id = :student_id)
"""
_JOIN = (
    "INSERT INTO cohort_joined VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET day = max(day, excluded.day) "
    "WHERE excluded.day > day"
)
_NAME = (
    "INSERT INTO cohort_first VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET received = excluded.received, "
    "course_id = excluded.course_id WHERE (excluded.received, excluded.course_id) < (received, course_id)"
)
_UNNAME = """
    DELETE FROM cohort_first WHERE NOT EXISTS (SELECT 1 FROM cohort_joined AS joined
        WHERE joined.tenant = cohort_first.tenant AND joined.cohort_id = cohort_first.cohort_id)
"""
_JOINED = "SELECT count(*) FROM cohort_joined WHERE tenant = ? AND cohort_id = ?"
_HAS_JOINED = "SELECT 1 FROM cohort_joined WHERE tenant = ? AND cohort_id = ? AND student_id = ?"
_LEAVE = "DELETE FROM cohort_joined WHERE tenant = ? AND cohort_id = ? AND student_id = ?"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cohort).decode
_decode_calendar = msgspec.msgpack.Decoder(tuple[Due, ...]).decode
_decode_joined = msgspec.json.Decoder(frozenset[str]).decode
_decode_first = msgspec.json.Decoder(Naming).decode


class SqliteCohorts:
    """See ``CohortStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def roster(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        values = {"tenant": tenant, "cohort_id": cohort_id, "since": since}
        ((version, body, joined, first),) = await self._database.fetch(_ROSTER, values)
        return Roster(
            version or 0,
            NO_COHORT if body is None else _decode(body),
            _decode_joined(joined),
            None if first is None else _decode_first(first),
        )

    async def put(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        body, calendar = _encode(cohort), _encode(cohort.calendar)
        put = [(tenant, student_id, cohort_id) for student_id in cohort.put]
        out = [(tenant, student_id, cohort_id) for student_id in cohort.out]
        teachers = [(tenant, name, cohort_id) for name in cohort.taught_by]

        def write(connection: sqlite3.Connection) -> bool:
            if version:
                done = connection.execute(_CHANGE, (body, tenant, cohort_id, version))
            else:
                done = connection.execute(_ADD, (tenant, cohort_id, body))
            if not done.rowcount:
                return False
            for statement in _FORGET:
                connection.execute(statement, (tenant, cohort_id))
            connection.executemany("INSERT INTO cohort_put VALUES (?, ?, ?)", put)
            connection.executemany("INSERT INTO cohort_out VALUES (?, ?, ?)", out)
            connection.executemany("INSERT INTO cohort_teachers VALUES (?, ?, ?)", teachers)
            if cohort.calendar:
                row = (tenant, cohort_id, calendar, cohort.course_id)
                connection.execute("INSERT INTO cohort_calendars VALUES (?, ?, ?, ?)", row)
            return True

        return await self._database.write(write)

    async def put_into(self, key: StudentKey) -> frozenset[str]:
        return frozenset(cohort_id for (cohort_id,) in self._database.read(_PUT_INTO, key))

    async def taught_by(self, tenant: str, name: str) -> frozenset[str]:
        return frozenset(cohort_id for (cohort_id,) in self._database.read(_TAUGHT_BY, (tenant, name)))

    async def calendars(
        self, named: Mapping[DocumentKey, Sequence[str]], *, since: Day
    ) -> list[Mapping[str, Sequence[Due]]]:
        tenants = {key.tenant for key in named}
        have_none = {tenant for tenant in tenants if not self._database.read(_HAS_CALENDARS, (tenant,))}
        return [{} if key.tenant in have_none else self._calendars_of(key, own, since) for key, own in named.items()]

    def _calendars_of(self, key: DocumentKey, named: Sequence[str], since: Day) -> Mapping[str, Sequence[Due]]:
        names = {f"named_{place}": cohort_id for place, cohort_id in enumerate(named)}
        query = _CALENDARS.replace("NAMED", ", ".join(f":{name}" for name in names))
        rows = self._database.read(query, {**key._asdict(), "since": since, **names})
        return {cohort_id: _decode_calendar(body) for cohort_id, body in rows}

    async def join(self, joins: Sequence[Join]) -> Sequence[Join]:
        by_cohort: dict[tuple[str, str], list[Join]] = defaultdict(list)
        for join in joins:
            by_cohort[join.key.tenant, join.cohort_id].append(join)

        def write(connection: sqlite3.Connection) -> list[Join]:
            refused = []
            for cohort, others in by_cohort.items():
                connection.execute(_NAME, (*cohort, *min(join.first for join in others)))
                (joined,) = connection.execute(_JOINED, cohort).fetchone()
                have_room = joined + len(others) <= MOST_MEMBERS
                for join in others:
                    student = (*cohort, join.key.student_id)
                    if not have_room and connection.execute(_HAS_JOINED, student).fetchone() is None:
                        if joined >= MOST_MEMBERS:
                            refused.append(join)
                            continue
                        joined += 1
                    connection.execute(_JOIN, (*student, join.day))
            return refused

        return await self._database.write(write) if joins else ()

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        await self._database.put(_LEAVE, [(key.tenant, cohort_id, key.student_id) for cohort_id in cohort_ids])

    async def clear_joins(self) -> None:
        await self._database.put("DELETE FROM cohort_joined", [()])

    async def purge(self, before: Day) -> None:
        def purge(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM cohort_joined WHERE day < ?", (before,))
            connection.execute(_UNNAME)

        await self._database.write(purge)
