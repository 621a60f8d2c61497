"""Deliveries in Redis: a hash for each, its lane's order, and when each lane is free; one slot for a sink.

Scripts change them, so that a lane has one first delivery whatever happens at the same time. Beside the packed delivery
its hash has what they go by; of these fields ``due``, ``leased`` and ``state`` say more than what is packed. Numbers
stay the texts that they came as: Lua would round their last digits when it writes them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import msgspec

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.deliveries import Delivery, DeliveryState, pack_delivery, place, unpack_delivery

STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)
FIELDS = ("body", "state", "due", "leased")
PLACE_START = 21  # characters of the moment in a place, and of the space after it

# What begins the scripts: KEYS[1] is the prefix of a sink's keys, which all are in one slot.
SHARED = """
local prefix = KEYS[1]
local function set_lane(lane)
  local first = redis.call('ZRANGE', prefix .. 'w:' .. lane, 0, 0)[1]
  if not first then return redis.call('ZREM', prefix .. 'lanes', lane) end
  local there = redis.call('HMGET', prefix .. 'd:' .. first, 'due', 'leased')
  local free_from = tonumber(there[1]) < tonumber(there[2]) and there[2] or there[1]
  return redis.call('ZADD', prefix .. 'lanes', free_from, lane)
end
local function to_the_end(id, lane)
  redis.call('ZADD', prefix .. 'w:' .. lane, redis.call('INCR', prefix .. 'turns'), id)
end
"""

# For each: the id, the lane, the student, the place in a listing, when it is due, and the delivery.
ENQUEUE = """
local new = 0
for at = 1, #ARGV, 6 do
  local id, lane, student, place, due, body = unpack(ARGV, at, at + 5)
  if redis.call('EXISTS', prefix .. 'd:' .. id) == 0 then
    redis.call('HSET', prefix .. 'd:' .. id, 'body', body, 'state', 'waiting', 'due', due, 'leased', '0', 'lane', lane,
      'student', student, 'place', place)
    redis.call('ZADD', prefix .. 'p:waiting', 0, place)
    redis.call('SADD', prefix .. 's:' .. student, id)
    to_the_end(id, lane)
    set_lane(lane)
    new = new + 1
  end
end
return new
"""

# The moment, until when, and how many.
LEASE = """
local leased = {}
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'lanes', '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])) do
  local name = prefix .. 'd:' .. redis.call('ZRANGE', prefix .. 'w:' .. lane, 0, 0)[1]
  redis.call('HSET', name, 'leased', ARGV[2])
  set_lane(lane)
  leased[#leased + 1] = redis.call('HMGET', name, 'body', 'state', 'due', 'leased')
end
return leased
"""

# For each: the id, the end of the lease, the state, when it is due, when it ended (empty: it did not), the delivery.
SETTLE = """
for at = 1, #ARGV, 6 do
  local id, leased, state, due, ended, body = unpack(ARGV, at, at + 5)
  local name = prefix .. 'd:' .. id
  local there = redis.call('HMGET', name, 'leased', 'lane', 'place')
  if there[1] == leased and leased ~= '0' then
    redis.call('HSET', name, 'body', body, 'state', state, 'due', due, 'leased', '0')
    if state ~= 'waiting' then
      redis.call('ZREM', prefix .. 'p:waiting', there[3])
      redis.call('ZADD', prefix .. 'p:' .. state, 0, there[3])
      redis.call('ZREM', prefix .. 'w:' .. there[2], id)
      if ended ~= '' then redis.call('ZADD', prefix .. 'ended', ended, id) end
    end
    set_lane(there[2])
  end
end
"""

# The id and the moment.
AGAIN = """
local id, now = ARGV[1], ARGV[2]
local name = prefix .. 'd:' .. id
local there = redis.call('HMGET', name, 'state', 'lane', 'place')
if not there[1] then return 0 end
if there[1] ~= 'waiting' then
  redis.call('ZREM', prefix .. 'p:' .. there[1], there[3])
  redis.call('ZADD', prefix .. 'p:waiting', 0, there[3])
  redis.call('ZREM', prefix .. 'ended', id)
  to_the_end(id, there[2])
end
redis.call('HSET', name, 'state', 'waiting', 'due', now)
set_lane(there[2])
return 1
"""

REMOVE = """
local removed = 0
for _, id in ipairs(ARGV) do
  local there = redis.call('HMGET', prefix .. 'd:' .. id, 'state', 'lane', 'place', 'student')
  if there[1] then
    redis.call('DEL', prefix .. 'd:' .. id)
    redis.call('ZREM', prefix .. 'p:' .. there[1], there[3])
    redis.call('ZREM', prefix .. 'w:' .. there[2], id)
    redis.call('ZREM', prefix .. 'ended', id)
    redis.call('SREM', prefix .. 's:' .. there[4], id)
    set_lane(there[2])
    removed = removed + 1
  end
end
if redis.call('EXISTS', prefix .. 'p:waiting', prefix .. 'p:delivered', prefix .. 'p:failed') == 0 then
  redis.call('DEL', prefix .. 'turns')
end
return removed
"""


class RedisDeliveries:
    """See ``DeliveryQueue``."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    @or_unavailable
    async def enqueue(self, deliveries: Sequence[Delivery]) -> int:
        """A sink is listed before it holds anything, and again after: the purge may have found it empty meanwhile."""
        by_sink: dict[str, list[Delivery]] = defaultdict(list)
        for one in deliveries:
            by_sink[one.sink].append(one)
        new = 0
        for sink, queued in by_sink.items():
            await self._client.sadd(names.DELIVERY_SINKS, sink)
            for start in range(0, len(queued), PAGE):
                values = [value for one in queued[start : start + PAGE] for value in _queued_values(one)]
                new += await self._run(ENQUEUE, sink, *values)
            await self._client.sadd(names.DELIVERY_SINKS, sink)
        return new

    @or_unavailable
    async def lease(self, sink: str, now: Micros, until: Micros, limit: int) -> list[Delivery]:
        return [one for row in await self._run(LEASE, sink, now, until, limit) if (one := _delivery(row)) is not None]

    @or_unavailable
    async def settle(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            await self._run(SETTLE, delivery.sink, *_settled_values(delivery))

    @or_unavailable
    async def next_due(self, sink: str) -> Micros | None:
        first = await self._client.zrange(names.deliveries(sink) + "lanes", 0, 0, withscores=True)
        return int(first[0][1]) if first else None

    @or_unavailable
    async def find(self, sink: str, delivery_id: str) -> Delivery | None:
        return _delivery(await self._client.hmget(f"{names.deliveries(sink)}d:{delivery_id}", FIELDS))

    @or_unavailable
    async def page(self, sink: str, state: DeliveryState | None, before: str, limit: int) -> list[Delivery]:
        start = b"(" + before.encode() if before else "+"
        listed: list[bytes] = []
        for one in STATES if state is None else (state,):
            name = f"{names.deliveries(sink)}p:{one}"
            listed += await self._client.zrevrangebylex(name, start, "-", start=0, num=limit)
        newest = sorted(listed, reverse=True)[:limit]
        return await self._read(sink, [name.decode()[PLACE_START:] for name in newest])

    @or_unavailable
    async def again(self, sink: str, delivery_id: str, now: Micros) -> bool:
        return bool(await self._run(AGAIN, sink, delivery_id, now))

    @or_unavailable
    async def remove_sink(self, sink: str) -> int:
        removed = 0
        for state in STATES:
            while listed := await self._client.zrange(f"{names.deliveries(sink)}p:{state}", 0, PAGE - 1):
                removed += await self._run(REMOVE, sink, *[name.decode()[PLACE_START:] for name in listed])
        return removed

    @or_unavailable
    async def of_student(self, key: StudentKey) -> list[Delivery]:
        found: list[Delivery] = []
        for sink in await self._sinks():
            found += await self._read(sink, await self._ids_of(sink, key))
        return sorted(found, key=lambda one: (place(one), one.sink))

    @or_unavailable
    async def erase(self, key: StudentKey) -> int:
        removed = 0
        for sink in await self._sinks():
            ids = await self._ids_of(sink, key)
            for start in range(0, len(ids), PAGE):
                removed += await self._run(REMOVE, sink, *ids[start : start + PAGE])
        return removed

    @or_unavailable
    async def purge(self, before: Micros) -> int:
        removed = 0
        for sink in await self._sinks():
            name = names.deliveries(sink) + "ended"
            while old := await self._client.zrangebyscore(name, "-inf", f"({before}", start=0, num=PAGE):
                removed += await self._run(REMOVE, sink, *old)
            if await self._is_empty(sink):
                await self._client.srem(names.DELIVERY_SINKS, sink)
                if not await self._is_empty(sink):  # somebody has queued meanwhile
                    await self._client.sadd(names.DELIVERY_SINKS, sink)
        return removed

    async def _is_empty(self, sink: str) -> bool:
        """A sink with any delivery has a count of turns."""
        return not await self._client.exists(names.deliveries(sink) + "turns")

    async def _sinks(self) -> list[str]:
        return sorted(sink.decode() for sink in await self._client.smembers(names.DELIVERY_SINKS))

    async def _ids_of(self, sink: str, key: StudentKey) -> list[str]:
        return [one.decode() for one in await self._client.smembers(f"{names.deliveries(sink)}s:{names.owner(key)}")]

    async def _read(self, sink: str, ids: Iterable[str]) -> list[Delivery]:
        pipeline = self._client.pipeline(transaction=False)
        for delivery_id in ids:
            pipeline.hmget(f"{names.deliveries(sink)}d:{delivery_id}", FIELDS)
        return [one for row in await pipeline.execute() if (one := _delivery(row)) is not None]

    async def _run(self, script: str, sink: str, *values: Any) -> Any:
        return await self._client.execute_command("EVAL", SHARED + script, 1, names.deliveries(sink), *values)


def _delivery(row: Sequence[bytes | None]) -> Delivery | None:
    body, state, due, leased = row
    if body is None or state is None:
        return None
    packed = unpack_delivery(body)
    if packed.state != state.decode():  # it is to be sent again
        packed = msgspec.structs.replace(packed, state="waiting", attempts=0, ended=None)
    return msgspec.structs.replace(packed, due=int(due or 0), leased=int(leased or 0))


def _queued_values(one: Delivery) -> list[bytes | str | int]:
    return [one.delivery_id, one.lane, names.owner(one.student), place(one), one.due, pack_delivery(one)]


def _settled_values(one: Delivery) -> list[bytes | str | int]:
    ended = "" if one.ended is None else one.ended
    return [one.delivery_id, one.leased, one.state, one.due, ended, pack_delivery(one)]
