"""Credentials in SQLite."""

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.ports.credentials import Credential, in_order, pack_credential, unpack_credential

_PUT = "INSERT OR REPLACE INTO credentials VALUES (?, ?)"
_FIND = "SELECT body FROM credentials WHERE key = ?"
_REMOVE = "DELETE FROM credentials WHERE key = ?"
_ALL = "SELECT body FROM credentials"


class SqliteCredentials:
    """See ``CredentialStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, credential: Credential) -> None:
        await self._database.put(_PUT, [(credential.key, pack_credential(credential))])

    async def find(self, key: str) -> Credential | None:
        found = self._database.read(_FIND, (key,))
        return unpack_credential(found[0][0]) if found else None

    async def remove(self, key: str) -> bool:
        return await self._database.write(lambda connection: connection.execute(_REMOVE, (key,)).rowcount == 1)

    async def all(self) -> list[Credential]:
        return in_order([unpack_credential(body) for (body,) in await self._database.fetch(_ALL, ())])
