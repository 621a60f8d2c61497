"""Statements as a learning record store keeps them: by id, by what they are found by, and in the order of storing."""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from mastery_engine.domain.moments import Micros

MOST_LINKS = 10  # statements that one may be found by through references to references, in either direction
# Rows of an index by which others are found through one statement; whoever refers to it beyond that is found by what it
# has itself. So neither a storing nor a removal does more than so much, however many refer to one statement.
MOST_THROUGH = 10_000


class StatementRecord(msgspec.Struct, frozen=True):
    """A statement to be kept.

    ``body`` is its JSON without the time of storing; ``digest`` is the hash of its content, and ``stamp`` its own time,
    0 where it came without. ``target`` is the statement that its object refers to, which it voids if ``voids``.
    ``contents`` are the hashes of the attachments whose bytes came with it.
    """

    statement_id: str
    body: bytes
    digest: bytes
    stamp: Micros
    facets: tuple[bytes, ...]
    target: str | None = None
    voids: bool = False
    contents: tuple[str, ...] = ()


class StoredStatement(msgspec.Struct, frozen=True):
    """A statement with when it was stored, which is its own in its tenant, and whether another one voided it."""

    record: StatementRecord
    stored: Micros
    voided: bool


class StatementOutcome(Enum):
    """What became of a statement."""

    STORED = "stored"
    REPEATED = "repeated"  # the same one is there
    VOIDED = "voided"  # the same one is there, and was voided
    DIFFERS = "differs"  # another one has its id: nothing was stored, of this and of all that came with it


class StatementQuery(msgspec.Struct, frozen=True):
    """Which statements: those that have a facet of each of ``every``, stored after ``since``, and at ``until`` at most.

    A statement that refers to one that has the facets is found too, and so on through references to references, within
    ``MOST_LINKS`` and ``MOST_THROUGH``. At most
    ``limit``, the newest first unless ``ascending``; voided ones only where ``with_voided``.
    """

    every: tuple[tuple[bytes, ...], ...] = ()
    since: Micros | None = None
    until: Micros | None = None
    limit: int = 100
    ascending: bool = False
    with_voided: bool = False


class FoundStatement(msgspec.Struct, frozen=True):
    """The id of a statement that was found, and when it was stored."""

    statement_id: str
    stored: Micros


class StatementStore(Protocol):
    """Statements by tenant. All calls raise Unavailable when the store is away."""

    async def put(
        self, tenant: str, records: Sequence[StatementRecord], contents: Mapping[str, bytes], now: Micros
    ) -> list[StatementOutcome]:
        """Store statements, all or none, with the contents of attachments by their hashes; durable on return.

        Ids do not repeat. Each is stored at ``now`` or a little later, after all that were stored before.
        """
        ...

    async def load(self, tenant: str, statement_ids: Sequence[str]) -> list[StoredStatement | None]:
        """The statements, in the order of the ids; None where there is none."""
        ...

    async def find(self, tenant: str, query: StatementQuery) -> list[FoundStatement]:
        """The statements of a query, in its order."""
        ...

    async def contents(self, tenant: str, hashes: Iterable[str]) -> dict[str, bytes]:
        """The attachments' contents that are here, by their hashes."""
        ...

    async def consistent_through(self, tenant: str, now: Micros) -> Micros:
        """A moment, now if possible, through which all statements are found; none is stored at or before it later."""
        ...

    async def replace(self, tenant: str, statement_id: str, record: StatementRecord | None) -> bool:
        """Put another record in a statement's place, or none: for erasures. It keeps when it was stored.

        False where there is no such statement. Contents that no statement has any more are removed.
        """
        ...

    async def purge(self, before: Micros) -> int:
        """Remove what was stored before a moment, in all tenants; how many statements there were."""
        ...
