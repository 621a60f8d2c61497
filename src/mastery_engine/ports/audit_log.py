"""The audit trail: its records, which of them somebody wants to see, and the pages they come in."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.errors import InvalidInput


class AuditRecord(msgspec.Struct, frozen=True, gc=False):
    """Who did what, to whom, when, from where, and whether they might.

    ``student_id`` is a keyed hash, and so is a student's own ``subject``: they outlive an erasure.
    """

    at: Micros
    tenant: str
    subject: str
    role: str
    call: str
    student_id: str | None
    allowed: bool
    address: str
    request_id: str


class AuditFilter(msgspec.Struct, frozen=True):
    """Which audit records are wanted; None wants all. ``start`` is included, ``end`` is not."""

    student: str | None = None
    subject: str | None = None
    call: str | None = None
    start: Micros | None = None
    end: Micros | None = None
    allowed: bool | None = None

    def wants(self, record: "AuditRecord") -> bool:
        return (
            self.student in (None, record.student_id)
            and self.subject in (None, record.subject)
            and self.call in (None, record.call)
            and (self.start is None or record.at >= self.start)
            and (self.end is None or record.at < self.end)
            and self.allowed in (None, record.allowed)
        )


class AuditPage(msgspec.Struct, frozen=True):
    """Some audit records, newest first; ``cursor`` leads to those before them, None where there are none."""

    records: list[AuditRecord]
    cursor: str | None


class AuditLog(Protocol):
    """The audit records of each tenant. All calls raise Unavailable when the store is away."""

    async def append(self, records: Sequence[AuditRecord]) -> None:
        """Append records; durable on return."""
        ...

    def precedes(self, other: object) -> bool:
        """Whether what another port is asked to write after a record is never durable before it: they share a file."""
        ...

    async def page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        """The newest records of a tenant that are wanted, or those before a page's cursor. Raises InvalidInput."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove records from before a moment; how many there were."""
        ...


def bad_cursor() -> InvalidInput:
    return InvalidInput("cursor must be one that this call has given: leave it out to start again.", field="cursor")
