"""Statements in Redis: a hash for each, and sorted sets by the facets that they are found by; one slot for a tenant.

One script stores all statements of a call, or none. A member of a facet's set names a statement and the one through
which it has the facet, itself or another one that it refers to; its score is when the statement was stored.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client
from mastery_engine.backends.redis.errors import or_unavailable
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

PURGED_AT_ONCE = 200
FACET_BYTES = 16
ID_BYTES = 16
OUTCOMES = (
    StatementOutcome.STORED,
    StatementOutcome.REPEATED,
    StatementOutcome.DIFFERS,
    StatementOutcome.VOIDED,
)
FIELDS = ("body", "digest", "stamp", "facets", "target", "voids", "contents", "stored", "voided")

# What begins the scripts that write: KEYS[1] is the prefix of a tenant's keys, which all are in one slot.
SHARED = """
local prefix, most, most_through = KEYS[1], MOST_LINKS, MOST_THROUGH
local function facets_of(joined)
  local found = {}
  for place = 1, #joined, 16 do found[#found + 1] = string.sub(joined, place, place + 15) end
  return found
end
local function referred(target)
  local found, seen, count = {}, {}, 0
  while target and target ~= '' and not seen[target] and count < most do
    seen[target], count = true, count + 1
    local there = redis.call('HMGET', prefix .. 's:' .. target, 'facets', 'target')
    if not there[1] then break end
    found[#found + 1] = {target, facets_of(there[1])}
    target = there[2]
  end
  return found
end
local function referring(id, few)
  local found, seen, layer, depth = {}, {}, {id}, 0
  while #layer > 0 and depth < most and #found < few do
    local following = {}
    for _, one in ipairs(layer) do
      for _, other in ipairs(redis.call('SRANDMEMBER', prefix .. 't:' .. one, few)) do
        if not seen[other] and #found < few then
          seen[other] = true
          local stored = redis.call('HGET', prefix .. 's:' .. other, 'stored')
          if stored then
            found[#found + 1] = {other, stored}
            following[#following + 1] = other
          end
        end
      end
      if #found >= few then break end
    end
    layer, depth = following, depth + 1
  end
  return found
end
local function connect(source, stored, via, facets, life)
  if redis.call('SADD', prefix .. 'c:' .. via, source) == 0 then return end
  redis.call('PEXPIRE', prefix .. 'c:' .. via, life)
  redis.call('HINCRBY', prefix .. 's:' .. via, 'through', #facets)
  for _, facet in ipairs(facets) do
    redis.call('ZADD', prefix .. 'f:' .. facet, stored, source .. via)
    redis.call('PEXPIRE', prefix .. 'f:' .. facet, life)
  end
end
local function part(source, via, facets)
  if redis.call('SREM', prefix .. 'c:' .. via, source) == 0 then return end
  redis.call('HINCRBY', prefix .. 's:' .. via, 'through', -#facets)
  for _, facet in ipairs(facets) do redis.call('ZREM', prefix .. 'f:' .. facet, source .. via) end
end
local function remove(id)
  local there = redis.call('HMGET', prefix .. 's:' .. id, 'facets', 'target', 'contents', 'stored')
  if not there[4] then return false end
  local own, beyond, sources = facets_of(there[1]), referred(there[2]), redis.call('SMEMBERS', prefix .. 'c:' .. id)
  for _, facet in ipairs(own) do redis.call('ZREM', prefix .. 'f:' .. facet, id .. id) end
  for _, source in ipairs(sources) do part(source, id, own) end
  sources[#sources + 1] = id
  for _, via in ipairs(beyond) do
    for _, source in ipairs(sources) do part(source, via[1], via[2]) end
  end
  redis.call('DEL', prefix .. 'c:' .. id)
  if there[2] ~= '' then
    redis.call('SREM', prefix .. 't:' .. there[2], id)
    redis.call('SREM', prefix .. 'v:' .. there[2], id)
  end
  for sha2 in string.gmatch(there[3], '%S+') do
    redis.call('SREM', prefix .. 'u:' .. sha2, id)
    if redis.call('EXISTS', prefix .. 'u:' .. sha2) == 0 then redis.call('DEL', prefix .. 'b:' .. sha2) end
  end
  redis.call('ZREM', prefix .. 'all', id)
  redis.call('DEL', prefix .. 's:' .. id)
  return there[4]
end
local function insert(stored, life, id, body, digest, stamp, joined, target, voids, contents)
  local own = facets_of(joined)
  local others = referring(id, math.floor(most_through / math.max(#own, 1)))
  local voided = '0'
  if voids == '0' and redis.call('EXISTS', prefix .. 'v:' .. id) == 1 then voided = '1' end
  redis.call('HSET', prefix .. 's:' .. id, 'body', body, 'digest', digest, 'stamp', stamp, 'facets', joined,
    'target', target, 'voids', voids, 'contents', contents, 'stored', stored, 'voided', voided)
  redis.call('PEXPIRE', prefix .. 's:' .. id, life)
  redis.call('ZADD', prefix .. 'all', stored, id)
  redis.call('PEXPIRE', prefix .. 'all', life)
  for _, facet in ipairs(own) do
    redis.call('ZADD', prefix .. 'f:' .. facet, stored, id .. id)
    redis.call('PEXPIRE', prefix .. 'f:' .. facet, life)
  end
  for sha2 in string.gmatch(contents, '%S+') do
    redis.call('SADD', prefix .. 'u:' .. sha2, id)
    redis.call('PEXPIRE', prefix .. 'u:' .. sha2, life)
  end
  if target ~= '' then
    redis.call('SADD', prefix .. 't:' .. target, id)
    redis.call('PEXPIRE', prefix .. 't:' .. target, life)
    if voids == '1' then
      redis.call('SADD', prefix .. 'v:' .. target, id)
      redis.call('PEXPIRE', prefix .. 'v:' .. target, life)
      if redis.call('HGET', prefix .. 's:' .. target, 'voids') == '0' then
        redis.call('HSET', prefix .. 's:' .. target, 'voided', '1')
      end
    end
  end
  if target == '' and #others == 0 then return end
  local reached = referred(target)
  table.insert(reached, 1, {id, own})
  table.insert(others, 1, {id, stored})
  for _, via in ipairs(reached) do
    local through = tonumber(redis.call('HGET', prefix .. 's:' .. via[1], 'through') or '0')
    for _, source in ipairs(others) do
      if source[1] ~= via[1] and through + #via[2] <= most_through then
        connect(source[1], source[2], via[1], via[2], life)
        through = through + #via[2]
      end
    end
  end
end
""".replace("MOST_LINKS", str(MOST_LINKS)).replace("MOST_THROUGH", str(MOST_THROUGH))

# The life, the moment, how many statements and how many contents; for each statement its eight values; for each
# content its hash and its bytes.
PUT = """
local life, now, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local outcomes, differs = {}, false
for n = 0, count - 1 do
  local place = 5 + n * 8
  local there = redis.call('HMGET', prefix .. 's:' .. ARGV[place], 'digest', 'stamp', 'stored', 'voided')
  local outcome = 0
  if there[1] then
    local time = there[2] == '0' and there[3] or there[2]
    local same = there[1] == ARGV[place + 2] and (ARGV[place + 3] == '0' or ARGV[place + 3] == time)
    outcome = not same and 2 or there[4] == '1' and 3 or 1
    differs = differs or not same
  end
  outcomes[n + 1] = outcome
end
if differs then return outcomes end
local last = tonumber(redis.call('GET', prefix .. 'last') or '0')
for n = 0, count - 1 do
  if outcomes[n + 1] == 0 then
    local place = 5 + n * 8
    last = math.max(last + 1, now)
    insert(string.format('%.0f', last), life, unpack(ARGV, place, place + 7))
  end
end
redis.call('SET', prefix .. 'last', string.format('%.0f', last))
for place = 5 + count * 8, #ARGV, 2 do redis.call('SET', prefix .. 'b:' .. ARGV[place], ARGV[place + 1], 'PX', life) end
return outcomes
"""
REPLACE = """
local stored = remove(ARGV[2])
if not stored then return 0 end
if #ARGV > 2 then insert(stored, ARGV[1], unpack(ARGV, 2, 9)) end
return 1
"""
# The moment through which all is there: what is stored from now on comes after it.
THROUGH = """
local last = math.max(tonumber(redis.call('GET', KEYS[1] .. 'last') or '0'), tonumber(ARGV[1]))
redis.call('SET', KEYS[1] .. 'last', string.format('%.0f', last))
return string.format('%.0f', last)
"""
PURGE = """
local old = redis.call('ZRANGEBYSCORE', prefix .. 'all', '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(old) do
  if not remove(id) then redis.call('ZREM', prefix .. 'all', id) end
end
return #old
"""


class RedisStatements:
    """See ``StatementStore``. ``life_ms`` is the life of a statement, and of an index after its last write."""

    def __init__(self, client: Client, *, life_ms: int) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async
        self._life_ms = life_ms

    @or_unavailable
    async def put(
        self, tenant: str, records: Sequence[StatementRecord], contents: Mapping[str, bytes], now: Micros
    ) -> list[StatementOutcome]:
        values: list[Any] = [self._life_ms, now, len(records), len(contents)]
        for record in records:
            values += _values(record)
        for sha2, content in contents.items():
            values += [sha2, content]
        told = await self._run(SHARED + PUT, tenant, *values)
        await self._client.sadd(names.STATEMENT_TENANTS, tenant)
        return [OUTCOMES[outcome] for outcome in told]

    async def _run(self, script: str, tenant: str, *values: Any) -> Any:
        return await self._client.execute_command("EVAL", script, 1, names.statements(tenant), *values)

    @or_unavailable
    async def load(self, tenant: str, statement_ids: Sequence[str]) -> list[StoredStatement | None]:
        prefix = names.statements(tenant).encode()
        pipeline = self._client.pipeline(transaction=False)
        for one in statement_ids:
            pipeline.hmget(prefix + b"s:" + UUID(one).bytes, FIELDS)
        values = await pipeline.execute() if statement_ids else []
        return [_stored(one, fields) for one, fields in zip(statement_ids, values, strict=True)]

    @or_unavailable
    async def find(self, tenant: str, query: StatementQuery) -> list[FoundStatement]:
        found: list[FoundStatement] = []
        seen: set[bytes] = set()
        async for page in self._candidates(tenant, query):
            members = await self._with_facets(tenant, page, query.every[1:])
            ids = [one for one in dict.fromkeys(member[:ID_BYTES] for member in members) if one not in seen]
            seen.update(ids)
            for one, (stored, voided) in zip(ids, await self._heads(tenant, ids), strict=True):
                if stored is not None and (query.with_voided or voided == b"0"):
                    found.append(FoundStatement(str(UUID(bytes=one)), int(stored)))
            if len(found) >= query.limit:
                break
        return found[: query.limit]

    async def _candidates(self, tenant: str, query: StatementQuery) -> AsyncIterator[list[bytes]]:
        """Pages of members that have one of the first facets, in the query's order."""
        prefix = names.statements(tenant).encode()
        first = [prefix + b"f:" + facet for facet in query.every[0]] if query.every else [prefix + b"all"]
        low = "-inf" if query.since is None else f"({query.since}"
        high = "+inf" if query.until is None else str(query.until)
        size = max(PAGE, query.limit)
        while True:
            pipeline = self._client.pipeline(transaction=False)
            for name in first:
                if query.ascending:
                    pipeline.zrangebyscore(name, low, high, start=0, num=size, withscores=True)
                else:
                    pipeline.zrevrangebyscore(name, high, low, start=0, num=size, withscores=True)
            pages: list[list[tuple[bytes, float]]] = await pipeline.execute()
            # A page that is full says nothing of what comes after its end, so no other may go on beyond it.
            edges = [page[-1][1] for page in pages if len(page) == size]
            edge = None if not edges else min(edges) if query.ascending else max(edges)
            every = {one for page in pages for one in page}
            together = sorted(every, key=lambda one: one[1], reverse=not query.ascending)
            if edge is not None:
                together = [one for one in together if (one[1] <= edge if query.ascending else one[1] >= edge)]
            yield [member for member, _ in together]
            if edge is None:
                return
            if query.ascending:
                low = f"({edge:.0f}"
            else:
                high = f"({edge:.0f}"

    async def _with_facets(self, tenant: str, members: list[bytes], every: Sequence[Sequence[bytes]]) -> list[bytes]:
        """Those of these members that have a facet of each of ``every`` as well."""
        prefix = names.statements(tenant).encode()
        for facets in every:
            if not members:
                break
            pipeline = self._client.pipeline(transaction=False)
            for facet in facets:
                pipeline.zmscore(prefix + b"f:" + facet, members)
            scores = await pipeline.execute()
            with_scores = zip(members, *scores, strict=True)
            members = [member for member, *has in with_scores if any(one is not None for one in has)]
        return members

    async def _heads(self, tenant: str, ids: Sequence[bytes]) -> list[tuple[bytes | None, bytes | None]]:
        prefix = names.statements(tenant).encode()
        pipeline = self._client.pipeline(transaction=False)
        for one in ids:
            pipeline.hmget(prefix + b"s:" + one, ("stored", "voided"))
        return [tuple(head) for head in await pipeline.execute()] if ids else []

    @or_unavailable
    async def contents(self, tenant: str, hashes: Iterable[str]) -> dict[str, bytes]:
        prefix, asked = names.statements(tenant), list(hashes)
        pipeline = self._client.pipeline(transaction=False)
        for sha2 in asked:
            pipeline.get(f"{prefix}b:{sha2}")
        values = await pipeline.execute() if asked else []
        return {sha2: content for sha2, content in zip(asked, values, strict=True) if content is not None}

    @or_unavailable
    async def consistent_through(self, tenant: str, now: Micros) -> Micros:
        return int(await self._run(THROUGH, tenant, now))

    @or_unavailable
    async def replace(self, tenant: str, statement_id: str, record: StatementRecord | None) -> bool:
        values = [UUID(statement_id).bytes] if record is None else _values(record)
        return bool(await self._run(SHARED + REPLACE, tenant, self._life_ms, *values))

    @or_unavailable
    async def purge(self, before: Micros) -> int:
        removed = 0
        for tenant in await self._client.smembers(names.STATEMENT_TENANTS):
            while count := int(await self._run(SHARED + PURGE, tenant.decode(), before, PURGED_AT_ONCE)):
                removed += count
        return removed


def _values(record: StatementRecord) -> list[Any]:
    """A statement as the scripts are given it."""
    return [
        UUID(record.statement_id).bytes,
        record.body,
        record.digest,
        record.stamp,
        b"".join(record.facets),
        b"" if record.target is None else UUID(record.target).bytes,
        int(record.voids),
        " ".join(record.contents),
    ]


def _stored(statement_id: str, fields: Sequence[bytes | None]) -> StoredStatement | None:
    body, digest, stamp, facets, target, voids, contents, stored, voided = [field or b"" for field in fields]
    if not stored:
        return None
    record = StatementRecord(
        statement_id,
        body,
        digest,
        int(stamp),
        tuple(facets[start : start + FACET_BYTES] for start in range(0, len(facets), FACET_BYTES)),
        str(UUID(bytes=target)) if target else None,
        voids == b"1",
        tuple(contents.decode().split()),
    )
    return StoredStatement(record, int(stored), voided == b"1")
