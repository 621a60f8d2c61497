"""Changes of consent in SQLite: one row for each keyed hash, numbered anew with each change."""

from collections.abc import Mapping

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.joined_blobs import FEW, parted
from mastery_engine.domain.moments import Micros
from mastery_engine.ports.consent_ledger import ConsentRecord

_PUT = "INSERT OR REPLACE INTO consents (name, value, at) VALUES (?, ?, ?)"
_READ = "SELECT name, value, at, seq FROM consents WHERE seq > ? ORDER BY seq LIMIT ?"
_READ_MANY = (
    "SELECT json_group_array(json_array(name, length(value), at, seq)), CAST(group_concat(value, '') AS BLOB) "
    "FROM (SELECT name, value, at, seq FROM consents WHERE seq > ? ORDER BY seq LIMIT ?)"
)
MANY = 10_000

_decode = msgspec.json.Decoder(list[tuple[str, int, Micros, int]]).decode


class SqliteConsentLedger:
    """See ``ConsentLedger``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_all(self, values: Mapping[str, bytes], at: Micros) -> None:
        await self._database.put(_PUT, [(name, value, at) for name, value in values.items()])

    async def read(self, after: int) -> tuple[list[ConsentRecord], int]:
        """Mostly there is nothing new; the first time there may be many, which another thread reads."""
        rows = self._database.read(_READ, (after, FEW))
        if len(rows) == FEW:
            while more := await self._fetch(rows[-1][3]):
                rows += more
        return [ConsentRecord(*row[:3]) for row in rows], rows[-1][3] if rows else after

    async def _fetch(self, after: int) -> list[tuple[str, bytes | None, Micros, int]]:
        ((listed, joined_values),) = await self._database.fetch(_READ_MANY, (after, MANY))
        rows = _decode(listed)
        values = parted(joined_values, [row[1] for row in rows])
        return [(name, value, at, seq) for (name, _, at, seq), value in zip(rows, values, strict=True)]
