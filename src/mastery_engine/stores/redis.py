"""The store for many machines: documents in Redis.

All of a student's keys share one hash tag, so that a Cluster keeps them together. A document's value begins with its
version, and one script compares and sets; every write renews the expiry, which is the retention.

A mark is kept wherever documents are: on each shard of a Cluster. Redis may come back without its last writes; then
the mark came back with the documents, older, or the server is another than the one that was written to, and
``move_marks`` says so.
"""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis, RedisCluster

from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.seen import IdsByDay
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.errors import FellBack
from mastery_engine.stores.base import (
    AuditFilter,
    AuditPage,
    AuditRecord,
    BatchJob,
    Change,
    Held,
    Marks,
    Refusal,
    bad_cursor,
    names_student,
)
from mastery_engine.stores.redis_client import Client, disconnect
from mastery_engine.stores.redis_cohorts import JOINED_KEYS, STUDENT_KEYS, VERSION_BYTES, RedisCohorts, beside
from mastery_engine.stores.redis_errors import AWAY, away, or_unavailable

MARK_COPIES = 32
PAGE = 500
TENANTS = "mastery:tenants"
BATCHES = "mastery:batches"
OPEN_BATCHES = "mastery:open-batches"

COMMIT = """
local won = {}
for i = 1, #KEYS / 2 do
  local document, cold = KEYS[2 * i - 1], KEYS[2 * i]
  local expected, body, ids = ARGV[3 * i - 1], ARGV[3 * i], ARGV[3 * i + 1]
  if redis.call('GETRANGE', document, 0, 7) == expected then
    if body == '' then
      redis.call('DEL', document, cold)
    else
      redis.call('SET', document, body, 'PX', ARGV[1])
      if ids == '' then
        redis.call('PEXPIRE', cold, ARGV[1])
      else
        redis.call('SET', cold, ids, 'PX', ARGV[1])
      end
    end
    won[i] = 1
  else
    won[i] = 0
  end
end
return won
"""
LIFE = "local life = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')\n"
READ_MARKS = LIFE + "return {life, redis.call('HGETALL', KEYS[1])}"
_MOVE = """
if life ~= ARGV[1] then return -1 end
for i = 2, #ARGV, 3 do
  if tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0') < tonumber(ARGV[i + 1]) then return tonumber(ARGV[i]) end
end
for i = 2, #ARGV, 3 do
  local known = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
  if known < tonumber(ARGV[i + 2]) then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2]) end
end
return -2
"""
MOVE_MARKS = LIFE + _MOVE
ANOTHER_LIFE, MOVED = -1, -2

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
_decode_refusal = msgspec.msgpack.Decoder(Refusal).decode
_decode_name = msgspec.msgpack.Decoder(tuple[str, str]).decode


class RedisStore(RedisCohorts):
    """See ``Store``. ``retention_days`` is the life of a key after its last write."""

    def __init__(self, client: Client, *, retention_days: int) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async
        self._life_ms = (retention_days + 1) * DAY // 1_000
        self._is_alone = isinstance(client, Redis)
        self._copies = MARK_COPIES if isinstance(client, RedisCluster) else 1

    @or_unavailable
    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        values = await self._values([_document(key) for key in keys])
        return [
            None if value is None else Held(int.from_bytes(value[:VERSION_BYTES], "big"), unpack(value[VERSION_BYTES:]))
            for value in values
        ]

    @or_unavailable
    async def load_cold(self, keys: Sequence[StudentKey]) -> list[IdsByDay]:
        values = await self._values([_cold(key) for key in keys])
        return [{} if value is None else unpack_ids(value) for value in values]

    async def _values(self, names: Sequence[str]) -> list[bytes | None]:
        if not names:
            return []
        if self._is_alone:
            found: list[bytes | None] = await self._client.mget(names)
            return found
        pipeline = self._client.pipeline()
        for name in names:
            pipeline.get(name)
        return list(await pipeline.execute())

    @or_unavailable
    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        if not changes:
            return []
        names = [name for change in changes for name in (_document(change.key), _cold(change.key))]
        values = [_written(change) for change in changes]
        if self._is_alone:
            flat = [value for three in values for value in three]
            won = await self._script(COMMIT, names, [self._life_ms, *flat])
            return [bool(one) for one in won]
        pipeline = self._client.pipeline()
        for place, three in enumerate(values):
            pipeline.execute_command("EVAL", COMMIT, 2, *names[2 * place : 2 * place + 2], self._life_ms, *three)
        return [bool(won) for (won,) in await pipeline.execute()]

    async def _script(self, text: str, names: Sequence[str], values: Sequence[Any]) -> Any:
        return await self._client.execute_command("EVAL", text, len(names), *names, *values)

    async def _each_copy(self, text: str, log_id: str, values: Sequence[Sequence[Any]]) -> list[Any]:
        """Run a script on each copy of the marks, with its own values."""
        names = [_marks(log_id, copy) for copy in range(self._copies)]
        if self._copies == 1:
            return [await self._script(text, names, values[0])]
        pipeline = self._client.pipeline()
        for name, own in zip(names, values, strict=True):
            pipeline.execute_command("EVAL", text, 1, name, *own)
        return list(await pipeline.execute())

    @or_unavailable
    async def marks(self, log_id: str) -> Marks:
        found = await self._each_copy(READ_MARKS, log_id, [[]] * self._copies)
        copies = [dict(zip(map(int, flat[::2]), map(int, flat[1::2]), strict=True)) for _, flat in found]
        partitions = {partition for copy in copies for partition in copy}
        lowest = {partition: min(copy.get(partition, 0) for copy in copies) for partition in partitions}
        return Marks(lowest, ",".join(life.decode() for life, _ in found))

    @or_unavailable
    async def move_marks(self, log_id: str, starts: Mapping[int, int], ends: Mapping[int, int], life: str) -> None:
        moves = [part for partition, end in ends.items() for part in (partition, starts.get(partition, 0), end)]
        lives = life.split(",")
        if len(lives) != self._copies:
            raise FellBack("The store's servers are others than before: the log is read again from the mark.")
        for outcome in await self._each_copy(MOVE_MARKS, log_id, [[one, *moves] for one in lives]):
            if outcome == ANOTHER_LIFE:
                raise FellBack("Redis was restarted or failed over: the log is read again from the mark.")
            if outcome != MOVED:
                raise FellBack(f"Redis holds less of partition {outcome} than before: the log is read again.")

    @or_unavailable
    async def floods(self, log_id: str) -> set[int]:
        return {int(partition) for partition in await self._client.smembers(_floods(log_id))}

    @or_unavailable
    async def set_flood(self, log_id: str, partition: int, *, flooded: bool) -> None:
        if flooded:
            await self._client.sadd(_floods(log_id), partition)
        else:
            await self._client.srem(_floods(log_id), partition)

    @or_unavailable
    async def note_refusals(self, refusals: Sequence[Refusal]) -> None:
        if not refusals:
            return
        pipeline = self._client.pipeline()
        for refusal in refusals:
            name = _refused(refusal.key)
            pipeline.hset(name, refusal.event_id, _encode(refusal))
            pipeline.pexpire(name, self._life_ms)
        await pipeline.execute()

    @or_unavailable
    async def refusal(self, key: StudentKey, event_id: str) -> Refusal | None:
        found = await self._client.hget(_refused(key), event_id)
        return None if found is None else _decode_refusal(found)

    async def students(self) -> AsyncIterator[StudentKey]:
        try:
            async for name in self._client.scan_iter(match="mastery:{*}:d", count=PAGE):
                yield student_of(name)
        except AWAY as error:
            raise away(error) from error

    @or_unavailable
    async def clear(self) -> None:
        """The marks go first: a crash in between leaves a store that is filled from the log's beginning."""
        for pattern in ("mastery:marks:*", "mastery:{*}:d", "mastery:{*}:c", JOINED_KEYS):
            async for name in self._client.scan_iter(match=pattern, count=PAGE):
                await self._client.unlink(name)

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

    @or_unavailable
    async def refusals(self, key: StudentKey) -> list[Refusal]:
        values = (await self._client.hgetall(_refused(key))).values()
        return sorted((msgspec.msgpack.decode(one, type=Refusal) for one in values), key=lambda one: one.at)

    @or_unavailable
    async def erase(self, key: StudentKey) -> int:
        removed = int(await self._client.delete(_document(key), _cold(key), _refused(key)))
        async for name in self._client.scan_iter(match=f"{_batch(key.tenant, '')}*", count=PAGE):
            value = await self._client.get(name)
            job = None if value is None else msgspec.msgpack.decode(value, type=BatchJob)
            if job is not None and names_student(job, key):
                removed += await self._client.delete(name)
                for listed in (OPEN_BATCHES, BATCHES):
                    await self._client.zrem(listed, _encode([job.tenant, job.batch_id]))
        return removed

    @or_unavailable
    async def put_batch(self, job: BatchJob) -> None:
        member, name = _encode([job.tenant, job.batch_id]), _batch(job.tenant, job.batch_id)
        await self._client.set(name, _encode(job), px=self._life_ms, xx=job.answer is not None)
        await self._client.zadd(BATCHES, {member: job.created})
        if job.answer is None:
            await self._client.zadd(OPEN_BATCHES, {member: job.created})
        else:
            await self._client.zrem(OPEN_BATCHES, member)

    @or_unavailable
    async def batch(self, tenant: str, batch_id: str) -> BatchJob | None:
        found = await self._client.get(_batch(tenant, batch_id))
        return None if found is None else msgspec.msgpack.decode(found, type=BatchJob)

    @or_unavailable
    async def open_batches(self) -> list[BatchJob]:
        members = await self._client.zrange(OPEN_BATCHES, 0, -1)
        names = [_decode_name(member) for member in members]
        found = await self._values([_batch(*name) for name in names])
        jobs = [msgspec.msgpack.decode(value, type=BatchJob) for value in found if value is not None]
        return [job for job in jobs if job.answer is None]

    @or_unavailable
    async def purge(self, before: Micros) -> int:
        removed = 0
        for tenant in await self._client.smembers(TENANTS):
            removed += await self._client.xtrim(_audit(tenant.decode()), minid=before // 1_000, approximate=False)
        for member in await self._client.zrangebyscore(BATCHES, "-inf", f"({before}"):
            removed += await self._client.delete(_batch(*_decode_name(member)))
            await self._client.zrem(OPEN_BATCHES, member)
            await self._client.zrem(BATCHES, member)
        async for name in self._client.scan_iter(match="mastery:{*}:r", count=PAGE):
            kept = await self._client.hgetall(name)
            old = [event_id for event_id, refusal in kept.items() if _decode_refusal(refusal).at < before]
            if old:
                removed += await self._client.hdel(name, *old)
        return removed

    @or_unavailable
    async def ping(self) -> None:
        await self._client.ping()

    async def close(self) -> None:
        await disconnect(self._client)


def _written(change: Change) -> tuple[bytes, bytes, bytes]:
    """What the script is given for a change: the expected version, the value, the cold ids."""
    expected = change.version.to_bytes(VERSION_BYTES, "big") if change.version else b""
    if change.student is None:
        return expected, b"", b""
    value = (change.version + 1).to_bytes(VERSION_BYTES, "big") + pack(change.student)
    return expected, value, b"" if change.cold is None else pack_ids(change.cold)


def student_of(name: bytes) -> StudentKey:
    """Whose key this is: a document's, or one beside it."""
    tenant, _, student_id = name.decode()[len(STUDENT_KEYS) : -len("}:d")].partition(":")
    return StudentKey(tenant, student_id)


def _document(key: StudentKey) -> str:
    return beside(key, "d")


def _cold(key: StudentKey) -> str:
    return beside(key, "c")


def _refused(key: StudentKey) -> str:
    return beside(key, "r")


def _marks(log_id: str, copy: int) -> str:
    return f"mastery:marks:{{{copy}}}:{log_id}"


def _floods(log_id: str) -> str:
    return f"mastery:floods:{log_id}"


def _audit(tenant: str) -> str:
    return f"mastery:audit:{{{tenant}}}"


def _batch(tenant: str, batch_id: str) -> str:
    return f"mastery:batch:{{{tenant}}}:{batch_id}"
