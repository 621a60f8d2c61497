"""Statements in memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mastery_engine.domain.moments import Micros
from mastery_engine.ports.statements import (
    MOST_LINKS,
    FoundStatement,
    StatementOutcome,
    StatementQuery,
    StatementRecord,
    StoredStatement,
)


class MemoryStatements:
    """See ``StatementStore``. What a query finds is computed from the statements, without an index."""

    def __init__(self) -> None:
        self._statements: dict[tuple[str, str], StoredStatement] = {}
        self._contents: dict[tuple[str, str], bytes] = {}
        self._last: Micros = 0

    async def put(
        self, tenant: str, records: Sequence[StatementRecord], contents: Mapping[str, bytes], now: Micros
    ) -> list[StatementOutcome]:
        outcomes = [self._outcome(tenant, record) for record in records]
        if StatementOutcome.DIFFERS in outcomes:
            return outcomes
        for record, outcome in zip(records, outcomes, strict=True):
            if outcome is StatementOutcome.STORED:
                self._last = max(self._last + 1, now)
                self._statements[tenant, record.statement_id] = StoredStatement(record, self._last, voided=False)
        for sha2, content in contents.items():
            self._contents[tenant, sha2] = content
        return outcomes

    def _outcome(self, tenant: str, record: StatementRecord) -> StatementOutcome:
        stored = self._loaded(tenant, record.statement_id)
        if stored is None:
            return StatementOutcome.STORED
        there = stored.record
        same_time = record.stamp in (0, there.stamp or stored.stored)
        if record.digest != there.digest or not same_time:
            return StatementOutcome.DIFFERS
        return StatementOutcome.VOIDED if stored.voided else StatementOutcome.REPEATED

    async def load(self, tenant: str, statement_ids: Sequence[str]) -> list[StoredStatement | None]:
        return [self._loaded(tenant, one) for one in statement_ids]

    def _loaded(self, tenant: str, statement_id: str) -> StoredStatement | None:
        stored = self._statements.get((tenant, statement_id))
        if stored is None or stored.record.voids:
            return stored
        voided = any(other.record.voids for other in self._referring(tenant, statement_id))
        return StoredStatement(stored.record, stored.stored, voided)

    def _referring(self, tenant: str, statement_id: str) -> Iterator[StoredStatement]:
        for (owner, _), stored in self._statements.items():
            if owner == tenant and stored.record.target == statement_id:
                yield stored

    async def find(self, tenant: str, query: StatementQuery) -> list[FoundStatement]:
        found = [
            FoundStatement(statement_id, stored.stored)
            for (owner, statement_id), stored in self._statements.items()
            if owner == tenant
            and (query.since is None or stored.stored > query.since)
            and (query.until is None or stored.stored <= query.until)
            and self._has(stored, query, tenant)
            and (query.with_voided or not (loaded := self._loaded(tenant, statement_id)) or not loaded.voided)
        ]
        return sorted(found, key=lambda one: one.stored, reverse=not query.ascending)[: query.limit]

    def _has(self, stored: StoredStatement, query: StatementQuery, tenant: str) -> bool:
        """Whether a statement has the facets, or one that it refers to has."""
        seen: set[str] = set()
        here: StoredStatement | None = stored
        while here is not None and here.record.statement_id not in seen and len(seen) <= MOST_LINKS:
            facets = here.record.facets
            if all(any(facet in facets for facet in one) for one in query.every):
                return True
            seen.add(here.record.statement_id)
            here = None if here.record.target is None else self._statements.get((tenant, here.record.target))
        return False

    async def contents(self, tenant: str, hashes: Iterable[str]) -> dict[str, bytes]:
        return {sha2: self._contents[tenant, sha2] for sha2 in hashes if (tenant, sha2) in self._contents}

    async def consistent_through(self, tenant: str, now: Micros) -> Micros:  # noqa: ARG002  of all tenants alike
        self._last = max(self._last, now)
        return self._last

    async def replace(self, tenant: str, statement_id: str, record: StatementRecord | None) -> bool:
        stored = self._statements.get((tenant, statement_id))
        if stored is None:
            return False
        if record is None:
            del self._statements[tenant, statement_id]
        else:
            self._statements[tenant, statement_id] = StoredStatement(record, stored.stored, voided=False)
        self._drop_contents()
        return True

    async def purge(self, before: Micros) -> int:
        old = [key for key, stored in self._statements.items() if stored.stored < before]
        for key in old:
            del self._statements[key]
        self._drop_contents()
        return len(old)

    def _drop_contents(self) -> None:
        had = {(tenant, sha2) for (tenant, _), one in self._statements.items() for sha2 in one.record.contents}
        self._contents = {key: content for key, content in self._contents.items() if key in had}
