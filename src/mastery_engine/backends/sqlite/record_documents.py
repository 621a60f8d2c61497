"""Documents of a learning record store in SQLite."""

import sqlite3

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.moments import Micros
from mastery_engine.ports.record_documents import RecordDocument, RecordDocumentKey

_LOAD = (
    "SELECT content, content_type, etag, updated, about, person FROM record_documents "
    "WHERE tenant = ? AND scope = ? AND name = ? AND registration = ?"
)
_ETAG = "SELECT etag FROM record_documents WHERE tenant = ? AND scope = ? AND name = ? AND registration = ?"
_PUT = "INSERT OR REPLACE INTO record_documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM record_documents WHERE tenant = ? AND scope = ? AND name = ? AND registration = ?"
_REMOVE_ALL = "DELETE FROM record_documents WHERE tenant = ? AND scope = ? AND (? IS NULL OR registration = ?)"
_NAMES = (
    "SELECT name, registration, updated FROM record_documents WHERE tenant = ? AND scope = ? "
    "AND (? IS NULL OR registration = ?) AND (? IS NULL OR updated > ?) ORDER BY name, registration"
)
_OF_PERSON = (
    "SELECT scope, name, registration, content, content_type, etag, updated, about, person FROM record_documents "
    "WHERE tenant = ? AND person = ?"
)
_PURGE = "DELETE FROM record_documents WHERE person <> x'' AND updated < ?"


class SqliteRecordDocuments:
    """See ``RecordDocumentStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, key: RecordDocumentKey) -> RecordDocument | None:
        rows = self._database.read(_LOAD, _place(key))
        return RecordDocument(*rows[0]) if rows else None

    async def save(self, key: RecordDocumentKey, document: RecordDocument | None, *, over: str | None) -> bool:
        def job(connection: sqlite3.Connection) -> bool:
            there = connection.execute(_ETAG, _place(key)).fetchone()
            if (None if there is None else there[0]) != over:
                return False
            if document is None:
                connection.execute(_REMOVE, _place(key))
            else:
                one = document
                row = (one.content, one.content_type, one.etag, one.updated, one.about, one.person)
                connection.execute(_PUT, (*_place(key), *row))
            return True

        return await self._database.write(job)

    async def names(
        self, tenant: str, scope: bytes, *, registration: str | None, since: Micros | None
    ) -> list[tuple[RecordDocumentKey, Micros]]:
        rows = await self._database.fetch(_NAMES, (tenant, scope, registration, registration, since, since))
        return [(RecordDocumentKey(tenant, scope, name, within), updated) for name, within, updated in rows]

    async def remove_all(self, tenant: str, scope: bytes, *, registration: str | None) -> int:
        def job(connection: sqlite3.Connection) -> int:
            return connection.execute(_REMOVE_ALL, (tenant, scope, registration, registration)).rowcount

        return await self._database.write(job)

    async def of_person(self, tenant: str, person: bytes) -> list[tuple[RecordDocumentKey, RecordDocument]]:
        rows = await self._database.fetch(_OF_PERSON, (tenant, person))
        return [
            (RecordDocumentKey(tenant, scope, name, registration), RecordDocument(*fields))
            for scope, name, registration, *fields in rows
        ]

    async def purge(self, before: Micros) -> int:
        def job(connection: sqlite3.Connection) -> int:
            return connection.execute(_PURGE, (before,)).rowcount

        return await self._database.write(job)


def _place(key: RecordDocumentKey) -> tuple[str, bytes, str, str]:
    return key.tenant, key.scope, key.name, key.registration
