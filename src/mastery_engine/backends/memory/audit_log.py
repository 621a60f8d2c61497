"""The audit trail in memory."""

from collections.abc import Sequence

from mastery_engine.domain.moments import Micros
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord, bad_cursor


class MemoryAuditLog:
    """See ``AuditLog``. A cursor is the number of a page's last record."""

    def __init__(self) -> None:
        self._records: dict[int, AuditRecord] = {}
        self._next = 0

    async def append(self, records: Sequence[AuditRecord]) -> None:
        self._records |= enumerate(records, self._next)
        self._next += len(records)

    def precedes(self, other: object) -> bool:  # noqa: ARG002  it shares its writer with nothing
        return False

    async def page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            raise bad_cursor()
        before = self._next if cursor is None else int(cursor)
        numbered = [
            (number, record)
            for number, record in reversed(self._records.items())
            if number < before and record.tenant == tenant and wanted.wants(record)
        ]
        records = [record for _, record in numbered[:limit]]
        return AuditPage(records, str(numbered[limit - 1][0]) if len(numbered) > limit else None)

    async def purge(self, before: Micros) -> int:
        old = [number for number, record in self._records.items() if record.at < before]
        for number in old:
            del self._records[number]
        return len(old)
