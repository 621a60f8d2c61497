"""Profiles in SQLite, with what a search looks for words in, and who has which identity on other platforms."""

import sqlite3
from collections.abc import Sequence

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.people.identity import Identity
from mastery_engine.domain.people.profile import Words
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.people import (
    NO_STORED_PROFILE,
    ProfileOutcome,
    ProfileWrite,
    StoredProfile,
    pack_profile,
    searched_in,
    unpack_profile,
)

FEW = 100  # rows that are read in less than another thread may wait for its turn
PAGE = 1_000  # writes of one job, so that others need not wait for fifty thousand

_LOAD = (
    "SELECT tenant, student_id, version, body "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS student_id FROM json_each(?)) "
    "JOIN people USING (tenant, student_id)"
)
_HOLDERS = (
    "SELECT system, id, student_id "
    "FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS system, value ->> 2 AS id FROM json_each(?)) "
    "JOIN identities USING (tenant, system, id)"
)
_VERSION = "SELECT version FROM people WHERE tenant = ? AND student_id = ?"
_PUT = "INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM people WHERE tenant = ? AND student_id = ?"
_IS_TAKEN = "SELECT 1 FROM identities WHERE tenant = ? AND system = ? AND id = ?"
_LINK = "INSERT INTO identities VALUES (?, ?, ?, ?)"
_UNLINK = "DELETE FROM identities WHERE tenant = ? AND system = ? AND id = ?"
_SEARCH = (
    "SELECT json_group_array(student_id) FROM (SELECT student_id FROM people WHERE tenant = ? AND student_id > ? "
    "AND NOT EXISTS (SELECT 1 FROM json_each(?) WHERE instr(people.searched, value) = 0) ORDER BY student_id LIMIT ?)"
)

_encode = msgspec.json.Encoder().encode
_decode_ids = msgspec.json.Decoder(list[str]).decode


class SqlitePeople:
    """See ``PeopleStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, students: Sequence[StudentKey]) -> list[StoredProfile]:
        asked = (_encode(students).decode(),)
        rows = self._database.read(_LOAD, asked) if len(students) <= FEW else await self._database.fetch(_LOAD, asked)
        stored = {(tenant, name): StoredProfile(version, unpack_profile(body)) for tenant, name, version, body in rows}
        return [stored.get(key, NO_STORED_PROFILE) for key in students]

    async def holders(self, tenant: str, identities: Sequence[Identity]) -> list[str | None]:
        asked = (_encode([(tenant, one.system, one.id) for one in identities]).decode(),)
        found = await self._database.fetch(_HOLDERS, asked) if identities else []
        by_identity = {(system, id_there): student_id for system, id_there, student_id in found}
        return [by_identity.get((one.system, one.id)) for one in identities]

    async def write(self, writes: Sequence[ProfileWrite]) -> list[ProfileOutcome]:
        outcomes: list[ProfileOutcome] = []
        for start in range(0, len(writes), PAGE):
            page = writes[start : start + PAGE]
            bodies = [None if write.after is None else pack_profile(write.after) for write in page]

            def job(
                connection: sqlite3.Connection,
                page: Sequence[ProfileWrite] = page,
                bodies: Sequence[bytes | None] = bodies,
            ) -> list[ProfileOutcome]:
                return [_write(connection, write, body) for write, body in zip(page, bodies, strict=True)]

            outcomes += await self._database.write(job)
        return outcomes

    async def search(self, tenant: str, words: Words, *, after: str, limit: int) -> list[str]:
        ((found,),) = await self._database.fetch(_SEARCH, (tenant, after, _encode(words).decode(), limit))
        return _decode_ids(found)


def _write(connection: sqlite3.Connection, write: ProfileWrite, body: bytes | None) -> ProfileOutcome:
    tenant, student_id = write.key
    stored = connection.execute(_VERSION, write.key).fetchone()
    if (stored[0] if stored else 0) != write.before.version:
        return ProfileOutcome.LOST
    if any(connection.execute(_IS_TAKEN, (tenant, one.system, one.id)).fetchone() for one in write.added):
        return ProfileOutcome.TAKEN
    connection.executemany(_UNLINK, [(tenant, one.system, one.id) for one in write.dropped])
    connection.executemany(_LINK, [(tenant, one.system, one.id, student_id) for one in write.added])
    if write.after is None:
        connection.execute(_REMOVE, write.key)
    else:
        row = (tenant, student_id, write.before.version + 1, body, searched_in(write.key, write.after))
        connection.execute(_PUT, row)
    return ProfileOutcome.DONE
