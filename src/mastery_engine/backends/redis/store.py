"""The store for many machines: documents, refusals and batches in Redis. Marks, trail and cohorts have their own rooms.

All of a student's keys share one hash tag, so that a Cluster keeps them together. A document's value begins with its
version, and one script compares and sets; every write renews the expiry, which is the retention.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis, RedisCluster

from mastery_engine.backends.redis.audit_log import RedisTrail
from mastery_engine.backends.redis.checkpoints import MARK_COPIES, RedisMarks
from mastery_engine.backends.redis.client import Client, disconnect
from mastery_engine.backends.redis.cohorts import JOINED_KEYS, RedisCohorts
from mastery_engine.backends.redis.errors import AWAY, away, or_unavailable
from mastery_engine.backends.redis.keys import VERSION_BYTES, beside, student_of
from mastery_engine.domain.events.seen import IdsByDay
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.student import StudentKey, pack, pack_ids, unpack, unpack_ids
from mastery_engine.ports.documents import Change, Held, Refusal
from mastery_engine.ports.jobs import BatchJob, names_student

PAGE = 500
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

_encode = msgspec.msgpack.Encoder().encode
_decode_refusal = msgspec.msgpack.Decoder(Refusal).decode
_decode_name = msgspec.msgpack.Decoder(tuple[str, str]).decode


class RedisStore(RedisCohorts, RedisMarks, RedisTrail):
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
        if self._is_alone and len(names) <= PAGE:
            found: list[bytes | None] = await self._client.mget(names)
            return found
        pipeline = self._client.pipeline(transaction=False)
        if self._is_alone:
            for start in range(0, len(names), PAGE):
                pipeline.mget(names[start : start + PAGE])
            return [value for page in await pipeline.execute() for value in page]
        for name in names:
            pipeline.get(name)
        return list(await pipeline.execute())

    @or_unavailable
    async def commit(self, changes: Sequence[Change]) -> list[bool]:
        if not changes:
            return []
        size = PAGE if self._is_alone else 1  # a Cluster runs a script over the keys of one student only
        pipeline = self._client.pipeline(transaction=False)
        for start in range(0, len(changes), size):
            page = changes[start : start + size]
            names = [name for change in page for name in (_document(change.key), _cold(change.key))]
            values = [value for change in page for value in _written(change)]
            pipeline.execute_command("EVAL", COMMIT, len(names), *names, self._life_ms, *values)
        return [bool(won) for page in await pipeline.execute() for won in page]

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
        removed = await self._purge_trail(before)
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


def _document(key: StudentKey) -> str:
    return beside(key, "d")


def _cold(key: StudentKey) -> str:
    return beside(key, "c")


def _refused(key: StudentKey) -> str:
    return beside(key, "r")


def _batch(tenant: str, batch_id: str) -> str:
    return f"mastery:batch:{{{tenant}}}:{batch_id}"
