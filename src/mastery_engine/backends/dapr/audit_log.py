"""The audit log in Dapr's state: for each tenant numbered pages, and a head that says which there are."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import MAX_ROUNDS, DaprState, Value, Write
from mastery_engine.backends.dapr.index import TOMBSTONE_S, DaprIndex
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import Unavailable
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord, bad_cursor

PAGE = 100
PAGES_AT_ONCE = 20
_CURSOR = re.compile(r"\d{1,9}-\d{1,3}", re.ASCII)


class _Head(msgspec.Struct, frozen=True):
    """The numbers of a tenant's first and last page, as they were read."""

    first: int
    last: int
    etag: str | None


class DaprAuditLog:
    """See ``AuditLog``. Records come in the order in which they were appended. Who appends at once shares a write."""

    def __init__(self, state: DaprState, *, life_s: int) -> None:
        """``life_s`` is the life of a page after its last write."""
        self._state = state
        self._life_s = life_s
        self._tenants = DaprIndex(state, "audit-tenants")
        self._waiting: list[tuple[Sequence[AuditRecord], asyncio.Future[None]]] = []
        self._writing = asyncio.Lock()

    async def append(self, records: Sequence[AuditRecord]) -> None:
        if not records:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, done))
        async with self._writing:
            waiting, self._waiting = self._waiting, []
            try:
                await self._append([record for batch, _ in waiting for record in batch])
            except Unavailable as error:
                for _, other in waiting:
                    other.set_exception(error)
            else:
                for _, other in waiting:
                    other.set_result(None)
        await done

    async def _append(self, records: Sequence[AuditRecord]) -> None:
        by_tenant: dict[str, list[Any]] = defaultdict(list)
        for record in records:
            by_tenant[record.tenant].append(msgspec.to_builtins(record))
        await self._tenants.add(by_tenant)
        for tenant, rows in by_tenant.items():
            for start in range(0, len(rows), PAGE):
                await self._append_page(tenant, rows[start : start + PAGE])

    async def _append_page(self, tenant: str, rows: list[Any]) -> None:
        """Onto the last page, or onto a new one.

        The head names a page before it is filled. Where a page has no records the head is written again before, and
        the tenant is listed again after: a purge may just be about to forget both.
        """
        for _ in range(MAX_ROUNDS):
            head = await self._head(tenant)
            (page,) = await self._state.read([keys.audit_page(tenant, head.last)])
            before = page.data if page is not None else []
            if len(before) + len(rows) > PAGE:
                await self._state.write([_write_head(tenant, head, head.first, head.last + 1)])
                continue
            if not any(before) and not await self._state.write([_write_head(tenant, head, head.first, head.last)]):
                continue
            etag = page.etag if page is not None else None
            name = keys.audit_page(tenant, head.last)
            if await self._state.write([Write(name, [*before, *rows], etag, self._life_s)]):
                if not any(before):
                    await self._tenants.add([tenant])
                return
            await asyncio.sleep(0)
        raise Unavailable("Too many writers want the audit log at once: ask again.")

    async def _head(self, tenant: str) -> _Head:
        (value,) = await self._state.read([keys.audit_head(tenant)])
        if value is None:
            return _Head(0, 0, None)
        first, last = value.data
        return _Head(first, last, value.etag)

    def precedes(self, other: object) -> bool:  # noqa: ARG002  it shares its writer with nothing
        return False

    async def page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        """A cursor is the number of a page and a place in it."""
        head = await self._head(tenant)
        start = (head.last, PAGE) if cursor is None else _place(cursor)
        records: list[AuditRecord] = []
        for number in range(min(head.last, start[0]), head.first - 1, -1):
            (page,) = await self._state.read([keys.audit_page(tenant, number)])
            rows = msgspec.convert(page.data if page is not None else [], list[AuditRecord | None])
            for place in range(min(len(rows), start[1] if number == start[0] else PAGE) - 1, -1, -1):
                record = rows[place]
                if record is not None and wanted.wants(record):
                    if len(records) == limit:
                        return AuditPage(records, f"{number}-{place + 1}")
                    records.append(record)
        return AuditPage(records, None)

    async def purge(self, before: Micros) -> int:
        removed = 0
        for tenant in sorted(await self._tenants.members()):
            removed += await self._purge_tenant(tenant, before)
        await self._tenants.renew()
        return removed

    async def _purge_tenant(self, tenant: str, before: Micros) -> int:
        head = await self._head(tenant)
        removed, filled = 0, []
        for start in range(head.first, head.last + 1, PAGES_AT_ONCE):
            numbers = range(start, min(start + PAGES_AT_ONCE, head.last + 1))
            pages = await self._state.read([keys.audit_page(tenant, number) for number in numbers])
            for number, page in zip(numbers, pages, strict=True):
                if page is not None and any(page.data):
                    gone, left = await self._purge_page(tenant, number, page, before)
                    removed += gone
                    filled += [number] if left else []
        await self._purge_head(tenant, head, filled)
        return removed

    async def _purge_page(self, tenant: str, number: int, page: Value | None, before: Micros) -> tuple[int, int]:
        """How many records went, and how many are left. Each leaves its place, which a cursor may name."""
        name = keys.audit_page(tenant, number)
        for _ in range(MAX_ROUNDS):
            rows: Sequence[Mapping[str, Any] | None] = page.data if page is not None else []
            left = [row if row is not None and row["at"] >= before else None for row in rows]
            gone, kept = _count(rows) - _count(left), _count(left)
            etag = page.etag if page is not None else None
            if not gone or await self._state.write([Write(name, left, etag, self._life_s if kept else TOMBSTONE_S)]):
                return gone, kept
            (page,) = await self._state.read([name])
        raise Unavailable("Too many writers want the audit log at once: ask again.")

    async def _purge_head(self, tenant: str, head: _Head, filled: Sequence[int]) -> None:
        """From the first page that has records; without any the head expires, and the tenant leaves the list.

        Where the head cannot be written, somebody appends, and has just written it.
        """
        if filled:
            await self._state.write([_write_head(tenant, head, filled[0], head.last)])
        elif await self._state.write([_write_head(tenant, head, head.last, head.last, life_s=TOMBSTONE_S)]):
            await self._tenants.discard_gone([tenant], self._with_records)

    async def _with_records(self, tenants: Sequence[str]) -> list[str]:
        """Which of these tenants have records on their last page."""
        heads = [await self._head(tenant) for tenant in tenants]
        names = [keys.audit_page(tenant, head.last) for tenant, head in zip(tenants, heads, strict=True)]
        pages = await self._state.read(names)
        return [tenant for tenant, page in zip(tenants, pages, strict=True) if page is not None and any(page.data)]


def _count(rows: Sequence[Mapping[str, Any] | None]) -> int:
    """How many records there are; None stands where a purge took one."""
    return sum(row is not None for row in rows)


def _write_head(tenant: str, head: _Head, first: int, last: int, *, life_s: int | None = None) -> Write:
    return Write(keys.audit_head(tenant), [first, last], head.etag, life_s)


def _place(cursor: str) -> tuple[int, int]:
    if not _CURSOR.fullmatch(cursor):
        raise bad_cursor()
    number, place = cursor.split("-")
    return int(number), int(place)
