"""The audit trail in Redis: a stream for each tenant."""

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.domain.moments import Micros
from mastery_engine.ports.audit_log import AuditFilter, AuditPage, AuditRecord, bad_cursor

# By the records' own time, so that a purge cuts by it; an id must not be lower than the newest.
APPEND = """
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
_decode = msgspec.msgpack.Decoder(AuditRecord).decode


class RedisAuditLog:
    """See ``AuditLog``. A cursor is the stream's name of a page's last record."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    @or_unavailable
    async def append(self, records: Sequence[AuditRecord]) -> None:
        if not records:
            return
        values_of_tenant: dict[str, list[Any]] = defaultdict(list)
        for record in records:
            values_of_tenant[record.tenant] += [record.at // 1_000, _encode(record)]
        pipeline = self._client.pipeline()
        for tenant, values in values_of_tenant.items():
            pipeline.execute_command("EVAL", APPEND, 1, names.audit(tenant), *values)
            pipeline.sadd(names.TENANTS, tenant)
        await pipeline.execute()

    def precedes(self, other: object) -> bool:  # noqa: ARG002  it shares its writer with nothing
        return False

    @or_unavailable
    async def page(self, tenant: str, wanted: AuditFilter, *, limit: int, cursor: str | None = None) -> AuditPage:
        if cursor is not None and not _STREAM_ID.fullmatch(cursor):
            raise bad_cursor()
        stream = names.audit(tenant)
        records: list[AuditRecord] = []
        last, before = "", cursor
        while rows := await self._client.xrevrange(stream, max=f"({before}" if before else "+", count=PAGE):
            for name, fields in rows:
                before = name.decode()
                record = _decode(fields[b"record"])
                if wanted.wants(record):
                    if len(records) == limit:
                        return AuditPage(records, last)
                    records.append(record)
                    last = before
        return AuditPage(records, None)

    @or_unavailable
    async def purge(self, before: Micros) -> int:
        removed = 0
        for tenant in await self._client.smembers(names.TENANTS):
            stream = names.audit(tenant.decode())
            removed += await self._client.xtrim(stream, minid=before // 1_000, approximate=False)
        return removed
