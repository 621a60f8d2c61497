"""The audit trail behind Dapr's state API: for each tenant numbered pages, and a head that says which there are."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.backends.dapr.index import DaprIndex
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import Unavailable
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord, bad_cursor

PAGE = 100
_CURSOR = re.compile(r"\d{1,9}-\d{1,3}", re.ASCII)
MAX_ROUNDS = 200


class DaprTrail:
    """Records by tenant, in the order in which they were appended. Who appends at once shares a write."""

    def __init__(self, state: DaprState, life_s: int) -> None:
        self._state = state
        self._life_s = life_s
        self._tenants = DaprIndex(state, "audit-tenants", life_s, shards=1)
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
                await self._append([record for one, _ in waiting for record in one])
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
        await self._tenants.add(list(by_tenant))
        for tenant, rows in by_tenant.items():
            for start in range(0, len(rows), PAGE):
                await self._append_page(tenant, rows[start : start + PAGE])

    async def _append_page(self, tenant: str, rows: list[Any]) -> None:
        """Onto the last page, or onto a new one that the head names before it is filled."""
        for _ in range(MAX_ROUNDS):
            head, first, last = await self._head(tenant)
            (page,) = await self._state.read([_page(tenant, last)])
            held = page.data if page is not None else []
            if len(held) + len(rows) > PAGE:
                etag = head.etag if head is not None else None
                await self._state.write([Write(_head(tenant), [first, last + 1], etag, self._life_s)])
                continue
            etag = page.etag if page is not None else None
            if await self._state.write([Write(_page(tenant, last), [*held, *rows], etag, self._life_s)]):
                return
            await asyncio.sleep(0)
        raise Unavailable("Too many writers want the audit trail at once: ask again.")

    async def _head(self, tenant: str) -> tuple[Value | None, int, int]:
        (head,) = await self._state.read([_head(tenant)])
        first, last = head.data if head is not None else (0, 0)
        return head, first, last

    async def newest(self, tenant: str, limit: int) -> list[AuditRecord]:
        """The newest first."""
        _, first, last = await self._head(tenant)
        found: list[AuditRecord] = []
        for number in range(last, first - 1, -1):
            (page,) = await self._state.read([_page(tenant, number)])
            rows = msgspec.convert(page.data if page is not None else [], list[AuditRecord])
            found += reversed(rows)
            if len(found) >= limit:
                break
        return found[:limit]

    async def page(self, tenant: str, wanted: AuditFilter, limit: int, cursor: str | None) -> AuditPage:
        """Those that are wanted, the newest first; a cursor is the number of a page and a place in it."""
        _, first, last = await self._head(tenant)
        start = (last, PAGE) if cursor is None else _place(cursor)
        found: list[AuditRecord] = []
        for number in range(min(last, start[0]), first - 1, -1):
            (page,) = await self._state.read([_page(tenant, number)])
            rows = msgspec.convert(page.data if page is not None else [], list[AuditRecord])
            for place in range(min(len(rows), start[1] if number == start[0] else PAGE) - 1, -1, -1):
                if wanted.wants(rows[place]):
                    if len(found) == limit:
                        return AuditPage(found, f"{number}-{place + 1}")
                    found.append(rows[place])
        return AuditPage(found, None)

    async def purge(self, before: Micros) -> int:
        """Remove what is older than a moment; how much that was."""
        removed = 0
        for tenant in await self._tenants.members():
            _, first, last = await self._head(tenant)
            for number in range(first, last + 1):
                removed += await self._purge_page(tenant, number, before)
        return removed

    async def _purge_page(self, tenant: str, number: int, before: Micros) -> int:
        for _ in range(MAX_ROUNDS):
            (page,) = await self._state.read([_page(tenant, number)])
            rows = page.data if page is not None else []
            kept = [row for row in rows if row["at"] >= before]
            if page is None or len(kept) == len(rows):
                return 0
            if await self._state.write([Write(_page(tenant, number), kept, page.etag, self._life_s)]):
                return len(rows) - len(kept)
        raise Unavailable("Too many writers want the audit trail at once: ask again.")


def _place(cursor: str) -> tuple[int, int]:
    if not _CURSOR.fullmatch(cursor):
        raise bad_cursor()
    number, place = cursor.split("-")
    return int(number), int(place)


def _head(tenant: str) -> str:
    return f"audit:{tenant}"


def _page(tenant: str, number: int) -> str:
    return f"audit:{tenant}:{number}"
