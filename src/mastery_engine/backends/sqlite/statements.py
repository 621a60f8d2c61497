"""Statements in SQLite, each with a row for every facet that it is found by, directly or through what it refers to."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.moments import Micros
from mastery_engine.ports.statements import (
    MOST_LINKS,
    MOST_THROUGH,
    FoundStatement,
    StatementOutcome,
    StatementQuery,
    StatementRecord,
    StoredStatement,
)

PURGED_AT_ONCE = 500
ROWS_AT_ONCE = 100

_ARE_THERE = (
    "SELECT statement_id, digest, stamp, stored, voided FROM statements WHERE tenant = ? AND statement_id IN ({})"
)
_ARE_TARGETS = "SELECT DISTINCT target FROM statement_targets WHERE tenant = ? AND target IN ({})"
_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_MANY = "INSERT INTO statements VALUES {}"
_PUT_FACETS = "INSERT OR IGNORE INTO statement_facets VALUES {}"
_LAST = "SELECT max(stored) FROM statements"
_PUT = "INSERT INTO statements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_FACET = "INSERT OR IGNORE INTO statement_facets VALUES (?, ?, ?)"
_PUT_TARGET = "INSERT OR IGNORE INTO statement_targets VALUES (?, ?, ?)"
_PUT_CONTENT = "INSERT OR IGNORE INTO statement_contents VALUES (?, ?, ?)"
_PUT_USE = "INSERT OR IGNORE INTO statement_content_uses VALUES (?, ?, ?)"
_TARGET = "SELECT stored, facets, target FROM statements WHERE tenant = ? AND statement_id = ?"
_REFERRING = (
    "SELECT stored, statement_id FROM statement_targets AS refers JOIN statements USING (stored) "
    "WHERE refers.tenant = ? AND refers.target = ? LIMIT ?"
)
_VOIDING = "SELECT 1 FROM statements WHERE tenant = ? AND target = ? AND voids = 1 LIMIT 1"
_THROUGH = (
    "SELECT count(*) FROM (SELECT 1 FROM statement_facets INDEXED BY statement_facets_through "
    "WHERE via = ? AND via <> stored LIMIT ?)"
)
_SOURCES = (
    "SELECT DISTINCT stored FROM statement_facets INDEXED BY statement_facets_through WHERE via = ? AND via <> stored"
)
_VOID = "UPDATE statements SET voided = 1 WHERE tenant = ? AND statement_id = ? AND voids = 0"
_LOAD = (
    "SELECT statement_id, body, digest, stamp, facets, target, voids, contents, stored, voided "
    "FROM statements WHERE tenant = ? AND statement_id IN ({})"
)
_CONTENTS = "SELECT sha2, content FROM statement_contents WHERE tenant = ? AND sha2 IN (SELECT value FROM json_each(?))"
_DROP_FACET = "DELETE FROM statement_facets WHERE facet = ? AND stored = ?"
_DROP_THROUGH = (
    "DELETE FROM statement_facets WHERE via = ? AND via <> stored AND stored IN (SELECT value FROM json_each(?))"
)
_DROP_CONTENTS = (
    "DELETE FROM statement_contents WHERE tenant = ?1 AND sha2 = ?2 AND NOT EXISTS "
    "(SELECT 1 FROM statement_content_uses AS used WHERE used.tenant = ?1 AND used.sha2 = ?2)"
)
_OLD = "SELECT tenant, statement_id FROM statements WHERE stored < ? LIMIT ?"

_ALL = (
    "SELECT statement_id, stored FROM statements AS found WHERE tenant = :tenant {bounds} "
    "ORDER BY stored {order} LIMIT :limit"
)
_WITH_FACET = (
    "SELECT * FROM (SELECT DISTINCT statement_id, found.stored AS stored FROM statement_facets AS found "
    "CROSS JOIN statements USING (stored) WHERE found.facet = {name} AND tenant = :tenant {bounds} "
    "ORDER BY found.stored {order} LIMIT :limit)"
)
_AND_ALSO = (
    " AND EXISTS (SELECT 1 FROM statement_facets AS other WHERE other.facet IN ({names}) "
    "AND other.stored = found.stored AND other.via = found.via)"
)
_TOGETHER = "SELECT statement_id, stored FROM ({selects}) ORDER BY stored {order} LIMIT :limit"

T = TypeVar("T")
_Row: TypeAlias = tuple[bytes, bytes, bytes, int, bytes, bytes | None, int, str, int, int]
_encode = msgspec.json.Encoder().encode


class SqliteStatements:
    """See ``StatementStore``. A moment of storing is assigned by the thread that writes, so that it is in order."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._numbers = count()
        self._under_way: dict[int, Micros] = {}

    async def put(
        self, tenant: str, records: Sequence[StatementRecord], contents: Mapping[str, bytes], now: Micros
    ) -> list[StatementOutcome]:
        def job(connection: sqlite3.Connection) -> list[StatementOutcome]:
            return _put(connection, tenant, records, contents, now)

        number = next(self._numbers)
        self._under_way[number] = now
        try:
            return await self.database.write(job)
        finally:
            del self._under_way[number]

    async def load(self, tenant: str, statement_ids: Sequence[str]) -> list[StoredStatement | None]:
        asked = [_bytes(one) for one in statement_ids]
        rows: list[_Row] = await self.database.fetch(_LOAD.format(", ".join("?" * len(asked))), (tenant, *asked))
        stored = {str(UUID(bytes=row[0])): _stored(row) for row in rows}
        return [stored.get(one) for one in statement_ids]

    async def find(self, tenant: str, query: StatementQuery) -> list[FoundStatement]:
        sql, values = _search(tenant, query)
        rows = await self.database.fetch(sql, values)
        return [FoundStatement(str(UUID(bytes=statement_id)), stored) for statement_id, stored in rows]

    async def contents(self, tenant: str, hashes: Iterable[str]) -> dict[str, bytes]:
        return dict(await self.database.fetch(_CONTENTS, (tenant, _encode(list(hashes)).decode())))

    async def consistent_through(self, tenant: str, now: Micros) -> Micros:  # noqa: ARG002  of all tenants alike
        return min([now, *[begun - 1 for begun in self._under_way.values()]])

    async def replace(self, tenant: str, statement_id: str, record: StatementRecord | None) -> bool:
        def job(connection: sqlite3.Connection) -> bool:
            stored = _remove(connection, tenant, _bytes(statement_id))
            if stored is not None and record is not None:
                _insert(connection, tenant, record, stored)
            return stored is not None

        return await self.database.write(job)

    async def purge(self, before: Micros) -> int:
        def job(connection: sqlite3.Connection) -> int:
            old = connection.execute(_OLD, (before, PURGED_AT_ONCE)).fetchall()
            for tenant, statement_id in old:
                _remove(connection, tenant, statement_id)
            return len(old)

        removed = 0
        while page := await self.database.write(job):
            removed += page
        return removed


def _put(
    connection: sqlite3.Connection,
    tenant: str,
    records: Sequence[StatementRecord],
    contents: Mapping[str, bytes],
    now: Micros,
) -> list[StatementOutcome]:
    ids = [_bytes(record.statement_id) for record in records]
    found = connection.execute(_ARE_THERE.format(_marks(len(ids))), (tenant, *ids)).fetchall() if ids else []
    there = {row[0]: row[1:] for row in found}
    outcomes = [_outcome(there.get(one), record) for one, record in zip(ids, records, strict=True)]
    if StatementOutcome.DIFFERS in outcomes:
        return outcomes
    connection.executemany(_PUT_CONTENT, [(tenant, sha2, content) for sha2, content in contents.items()])
    last = connection.execute(_LAST).fetchone()[0] or 0
    new: list[tuple[Micros, bytes, StatementRecord]] = []
    for one, record, outcome in zip(ids, records, outcomes, strict=True):
        if outcome is StatementOutcome.STORED:
            last = max(last + 1, now)
            new.append((last, one, record))
    referred = (
        {row[0] for row in connection.execute(_ARE_TARGETS.format(_marks(len(ids))), (tenant, *ids))} if ids else ()
    )
    alone: list[tuple[Micros, StatementRecord]] = []
    connected: list[tuple[Micros, StatementRecord]] = []
    for stored, one, record in new:
        is_alone = record.target is None and not record.contents and one not in referred
        (alone if is_alone else connected).append((stored, record))
    _insert_alone(connection, tenant, alone)
    for stored, record in connected:  # after those that they may refer to
        _insert(connection, tenant, record, stored)
    return outcomes


def _outcome(there: tuple[bytes, Micros, Micros, int] | None, record: StatementRecord) -> StatementOutcome:
    if there is None:
        return StatementOutcome.STORED
    digest, stamp, stored, voided = there
    if digest != record.digest or record.stamp not in (0, stamp or stored):
        return StatementOutcome.DIFFERS
    return StatementOutcome.VOIDED if voided else StatementOutcome.REPEATED


def _insert_alone(connection: sqlite3.Connection, tenant: str, new: Sequence[tuple[Micros, StatementRecord]]) -> None:
    """Store statements that refer to none, that none refers to, and that came without contents.

    Many rows by one statement of SQL: for each of these the thread lets go of Python's lock, and waits to have it back.
    """
    rows = [_row(tenant, record, stored, target=None, voided=False) for stored, record in new]
    for page in _pages(rows):
        values = [value for row in page for value in row]
        connection.execute(_PUT_MANY.format(", ".join([_ROW] * len(page))), values)
    facets = [(facet, stored, stored) for stored, record in new for facet in record.facets]
    for facet_page in _pages(facets):
        flat = [value for facet in facet_page for value in facet]
        connection.execute(_PUT_FACETS.format(", ".join(["(?, ?, ?)"] * len(facet_page))), flat)


def _pages(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Rows in pages of a size that is always the same but for the last, so that SQLite knows the statement."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


def _bytes(statement_id: str) -> bytes:
    """A UUID's 16 bytes, at a fifth of what ``UUID`` takes for them."""
    return bytes.fromhex(statement_id.replace("-", ""))


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _row(
    tenant: str, record: StatementRecord, stored: Micros, *, target: bytes | None, voided: bool
) -> tuple[Any, ...]:
    return (
        stored,
        tenant,
        _bytes(record.statement_id),
        record.digest,
        record.stamp,
        b"".join(record.facets),
        target,
        record.voids,
        voided,
        " ".join(record.contents),
        record.body,
    )


def _insert(connection: sqlite3.Connection, tenant: str, record: StatementRecord, stored: Micros) -> None:
    """Store a statement, and connect those that refer to it with those that it refers to."""
    statement_id = _bytes(record.statement_id)
    target = None if record.target is None else _bytes(record.target)
    referring = _referring(connection, tenant, statement_id, MOST_THROUGH // max(len(record.facets), 1))
    voided = bool(referring) and not record.voids and _is_voided(connection, tenant, statement_id)
    row = _row(tenant, record, stored, target=target, voided=voided)
    connection.execute(_PUT, row)
    connection.executemany(_PUT_USE, [(tenant, sha2, stored) for sha2 in record.contents])
    connection.executemany(_PUT_FACET, [(facet, stored, stored) for facet in record.facets])
    if target is not None:
        connection.execute(_PUT_TARGET, (tenant, target, stored))
        if record.voids:
            connection.execute(_VOID, (tenant, target))
    if target is not None or referring:
        for via, facets in [(stored, record.facets), *_referred(connection, tenant, target)]:
            sources = [source for source in (stored, *referring) if source != via]
            (through,) = connection.execute(_THROUGH, (via, MOST_THROUGH)).fetchone()
            room = (MOST_THROUGH - through) // max(len(facets), 1)
            rows = [(facet, source, via) for source in sources[:room] for facet in facets]
            connection.executemany(_PUT_FACET, rows)


def _is_voided(connection: sqlite3.Connection, tenant: str, statement_id: bytes) -> bool:
    return connection.execute(_VOIDING, (tenant, statement_id)).fetchone() is not None


def _referred(connection: sqlite3.Connection, tenant: str, target: bytes | None) -> list[tuple[Micros, list[bytes]]]:
    """The statements that a reference leads to, and so on, with their facets; those that are here."""
    found: list[tuple[Micros, list[bytes]]] = []
    seen: set[bytes] = set()
    while target is not None and target not in seen and len(seen) < MOST_LINKS:
        seen.add(target)
        row = connection.execute(_TARGET, (tenant, target)).fetchone()
        if row is None:
            break
        found.append((row[0], _facets(row[1])))
        target = row[2]
    return found


def _referring(connection: sqlite3.Connection, tenant: str, statement_id: bytes, most: int) -> list[Micros]:
    """When the statements were stored that refer to one, and so on: so many at most, the nearest first."""
    found: dict[Micros, None] = {}
    layer, depth = [statement_id], 0
    while layer and depth < MOST_LINKS and len(found) < most:
        following: list[bytes] = []
        for one in layer:
            rows = connection.execute(_REFERRING, (tenant, one, most)).fetchall()
            following += [other for stored, other in rows if stored not in found]
            found |= dict.fromkeys([stored for stored, _ in rows])
            if len(found) >= most:
                break
        layer, depth = following, depth + 1
    return list(found)[:most]


def _remove(connection: sqlite3.Connection, tenant: str, statement_id: bytes) -> Micros | None:
    """Remove a statement with all that it is found by, and what others are found by through it; when it was stored."""
    rows = connection.execute(_LOAD.format("?"), (tenant, statement_id)).fetchall()
    if not rows:
        return None
    one = _stored(rows[0])
    stored = one.stored
    target = None if one.record.target is None else _bytes(one.record.target)
    sources = _encode([stored, *[source for (source,) in connection.execute(_SOURCES, (stored,))]]).decode()
    connection.executemany(_DROP_FACET, [(facet, stored) for facet in one.record.facets])
    for via in dict.fromkeys([stored, *[other for other, _ in _referred(connection, tenant, target)]]):
        connection.execute(_DROP_THROUGH, (via, sources))
    connection.execute("DELETE FROM statements WHERE stored = ?", (stored,))
    if target is not None:
        connection.execute(
            "DELETE FROM statement_targets WHERE tenant = ? AND target = ? AND stored = ?", (tenant, target, stored)
        )
    for sha2 in one.record.contents:
        used = (tenant, sha2, stored)
        connection.execute("DELETE FROM statement_content_uses WHERE tenant = ? AND sha2 = ? AND stored = ?", used)
        connection.execute(_DROP_CONTENTS, (tenant, sha2))
    return stored


def _search(tenant: str, query: StatementQuery) -> tuple[str, dict[str, object]]:
    """The rows of a query: for its first facets in the order of storing, each looked up for the others.

    Only names of parameters are put into the text, and words of ours.
    """
    values: dict[str, object] = {"tenant": tenant, "limit": query.limit}
    bounds = ""
    if query.since is not None:
        bounds, values["since"] = bounds + " AND found.stored > :since", query.since
    if query.until is not None:
        bounds, values["until"] = bounds + " AND found.stored <= :until", query.until
    if not query.with_voided:
        bounds += " AND voided = 0"
    order = "ASC" if query.ascending else "DESC"
    if not query.every:
        return _ALL.format(bounds=bounds, order=order), values
    first, *others = query.every
    for place, facets in enumerate(others):
        names = {f"other_{place}_{number}": facet for number, facet in enumerate(facets)}
        values |= names
        bounds += _AND_ALSO.format(names=", ".join([f":{name}" for name in names]))
    values |= {f"first_{number}": facet for number, facet in enumerate(first)}
    selects = [_WITH_FACET.format(name=f":first_{n}", bounds=bounds, order=order) for n in range(len(first))]
    return _TOGETHER.format(selects=" UNION ".join(selects), order=order), values


def _stored(row: _Row) -> StoredStatement:
    statement_id, body, digest, stamp, facets, target, voids, contents, stored, voided = row
    record = StatementRecord(
        str(UUID(bytes=statement_id)),
        body,
        digest,
        stamp,
        tuple(_facets(facets)),
        None if target is None else str(UUID(bytes=target)),
        bool(voids),
        tuple(contents.split()),
    )
    return StoredStatement(record, stored, bool(voided))


def _facets(joined: bytes) -> list[bytes]:
    return [joined[start : start + 16] for start in range(0, len(joined), 16)]
