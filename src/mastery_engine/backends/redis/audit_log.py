"""The part of the Redis store that keeps the audit trail: a stream for each tenant."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.domain.moments import Micros
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord, bad_cursor

PAGE = 500
TENANTS = "mastery:tenants"

# By the records' own time, so that a purge cuts by it; an id must not be lower than the newest.
AUDIT = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local newest = last and tonumber(string.match(last[1], '^%d+')) or 0
for i = 1, #ARGV, 2 do
  newest = math.max(newest, tonumber(ARGV[i]))
  local added = redis.pcall('XADD', KEYS[1], string.format('%.0f-*', newest), 'record', ARGV[i + 1])
  if type(added) == 'table' and added.err then redis.call('XADD', KEYS[1], '*', 'record', ARGV[i + 1]) end
end
"""
_STREAM_ID = re.compile(r"\d{1,15}-\d{1,15}", re.ASCII)

_encode = msgspec.msgpack.Encoder().encode


class RedisTrail:
    """See ``Store``."""

    _client: Any

    @or_unavailable
    async def audit(self, records: Sequence[AuditRecord]) -> None:
        if not records:
            return
        of_tenant: dict[str, list[Any]] = defaultdict(list)
        for record in records:
            of_tenant[record.tenant] += [record.at // 1_000, _encode(record)]
        pipeline = self._client.pipeline()
        for tenant, values in of_tenant.items():
            pipeline.execute_command("EVAL", AUDIT, 1, _audit(tenant), *values)
            pipeline.sadd(TENANTS, tenant)
        await pipeline.execute()

    @or_unavailable
    async def audited(self, tenant: str, *, limit: int) -> list[AuditRecord]:
        rows = await self._client.xrevrange(_audit(tenant), count=limit)
        return [msgspec.msgpack.decode(fields[b"record"], type=AuditRecord) for _, fields in rows]

    @or_unavailable
    async def audit_page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        if cursor is not None and not _STREAM_ID.fullmatch(cursor):
            raise bad_cursor()
        found: list[AuditRecord] = []
        last, before = "", cursor
        while rows := await self._client.xrevrange(_audit(tenant), max=f"({before}" if before else "+", count=PAGE):
            for name, fields in rows:
                before = name.decode()
                record = msgspec.msgpack.decode(fields[b"record"], type=AuditRecord)
                if wanted.wants(record):
                    if len(found) == limit:
                        return AuditPage(found, last)
                    found.append(record)
                    last = before
        return AuditPage(found, None)

    async def _purge_trail(self, before: Micros) -> int:
        """Remove records from before a moment; how many there were."""
        removed = 0
        for tenant in await self._client.smembers(TENANTS):
            removed += await self._client.xtrim(_audit(tenant.decode()), minid=before // 1_000, approximate=False)
        return removed


def _audit(tenant: str) -> str:
    return f"mastery:audit:{{{tenant}}}"
