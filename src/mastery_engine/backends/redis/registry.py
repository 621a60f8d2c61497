"""Small records in Redis: a hash for each, and beside them how they are listed and found; one slot for a table.

One script writes them. A record with a moment of expiry goes by itself; what lists it goes with the next purge, and
whoever meets it before passes over it.
"""

from collections.abc import Sequence
from typing import Any, get_args

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.registry import Entry, RegistryWrite, Table

TABLES: tuple[Table, ...] = get_args(Table)
FIELDS = ("value", "version", "expires")

# What begins the scripts: KEYS[1] is the prefix of a table's keys, which all are in one slot.
SHARED = """
local prefix = KEYS[1]
local function remove(key)
  local owner = redis.call('HGET', prefix .. 'owners', key)
  if owner then
    redis.call('SREM', prefix .. 'o:' .. owner, key)
    redis.call('HDEL', prefix .. 'owners', key)
  end
  redis.call('ZREM', prefix .. 'expiring', key)
  redis.call('ZREM', prefix .. 'all', key)
  return redis.call('DEL', prefix .. 'r:' .. key)
end
"""

# The moment, and for each write: the key, the expected version (empty: any), whether it is to be there, the value, the
# owner, the moment of its expiry and its life in milliseconds (empty: none).
WRITE = """
local now, outcomes = tonumber(ARGV[1]), {}
for place = 2, #ARGV, 7 do
  local key, expected, is_there, value, owner, expires, life = unpack(ARGV, place, place + 6)
  local name = prefix .. 'r:' .. key
  local there = redis.call('HMGET', name, 'version', 'expires')
  local version = there[1] or '0'
  if version ~= '0' and there[2] ~= '' and tonumber(there[2]) <= now then version = '0' end
  local is_expected = expected == '' or expected == version
  if is_expected then
    remove(key)
    if is_there == '1' then
      version = redis.call('INCR', prefix .. 'writes')
      redis.call('HSET', name, 'value', value, 'version', version, 'expires', expires)
      redis.call('ZADD', prefix .. 'all', 0, key)
      if owner ~= '' then
        redis.call('SADD', prefix .. 'o:' .. owner, key)
        redis.call('HSET', prefix .. 'owners', key, owner)
      end
      if expires ~= '' then
        redis.call('ZADD', prefix .. 'expiring', expires, key)
        redis.call('PEXPIRE', name, life)
      end
    end
  end
  outcomes[#outcomes + 1] = is_expected and 1 or 0
end
return outcomes
"""

ERASE = """
local removed = 0
for _, key in ipairs(redis.call('SMEMBERS', prefix .. 'o:' .. ARGV[1])) do removed = removed + remove(key) end
return removed
"""

PURGE = """
local expired = redis.call('ZRANGEBYSCORE', prefix .. 'expiring', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, key in ipairs(expired) do remove(key) end
return #expired
"""


class RedisRegistry:
    """See ``RegistryStore``."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    @or_unavailable
    async def find(self, table: Table, keys: Sequence[str], now: Micros) -> list[Entry | None]:
        return await self._read(table, keys, now)

    @or_unavailable
    async def write(self, table: Table, writes: Sequence[RegistryWrite], now: Micros) -> list[bool]:
        outcomes: list[bool] = []
        for start in range(0, len(writes), PAGE):
            values = [value for write in writes[start : start + PAGE] for value in _values(write, now)]
            outcomes += [bool(outcome) for outcome in await self._run(WRITE, table, now, *values)]
        return outcomes

    @or_unavailable
    async def page(self, table: Table, prefix: str, after: str, limit: int, now: Micros) -> list[Entry]:
        found: list[Entry] = []
        start = b"[" + prefix.encode() if after < prefix else b"(" + after.encode()
        end = b"(" + prefix.encode() + b"\xff"  # which no text in UTF-8 holds
        while len(found) < limit:
            listed = await self._client.zrangebylex(names.registry(table) + "all", start, end, start=0, num=PAGE)
            if not listed:
                break
            found += [one for one in await self._read(table, [key.decode() for key in listed], now) if one is not None]
            start = b"(" + listed[-1]
        return found[:limit]

    @or_unavailable
    async def owned(self, key: StudentKey, now: Micros) -> list[tuple[Table, Entry]]:
        found: list[tuple[Table, Entry]] = []
        pipeline = self._client.pipeline(transaction=False)
        for table in sorted(TABLES):
            pipeline.smembers(f"{names.registry(table)}o:{names.owner(key)}")
        for table, listed in zip(sorted(TABLES), await pipeline.execute(), strict=True):
            entries = await self._read(table, sorted(name.decode() for name in listed), now)
            found += [(table, entry) for entry in entries if entry is not None]
        return found

    @or_unavailable
    async def erase(self, key: StudentKey) -> int:
        return sum([await self._run(ERASE, table, names.owner(key)) for table in TABLES])

    @or_unavailable
    async def purge(self, now: Micros) -> int:
        removed = 0
        for table in TABLES:
            while (page := await self._run(PURGE, table, now, PAGE)) > 0:
                removed += page
        return removed

    async def _read(self, table: Table, keys: Sequence[str], now: Micros) -> list[Entry | None]:
        prefix = names.registry(table)
        found: list[Entry | None] = []
        for start in range(0, len(keys), PAGE):
            page = keys[start : start + PAGE]
            pipeline = self._client.pipeline(transaction=False)
            for key in page:
                pipeline.hmget(f"{prefix}r:{key}", FIELDS)
            found += [_entry(key, row, now) for key, row in zip(page, await pipeline.execute(), strict=True)]
        return found

    async def _run(self, script: str, table: Table, *values: Any) -> Any:
        return await self._client.execute_command("EVAL", SHARED + script, 1, names.registry(table), *values)


def _entry(key: str, row: Sequence[bytes | None], now: Micros) -> Entry | None:
    value, version, expires = row
    if value is None or version is None or (expires and int(expires) <= now):
        return None
    return Entry(key, value, int(version))


def _values(write: RegistryWrite, now: Micros) -> list[bytes | str | int]:
    """What the script is given for a write."""
    return [
        write.key,
        "" if write.expected is None else write.expected,
        int(write.value is not None),
        write.value or b"",
        "" if write.owner is None else names.owner(write.owner),
        "" if write.expires is None else write.expires,
        "" if write.expires is None else -(-max(0, write.expires - now) // 1_000),
    ]
