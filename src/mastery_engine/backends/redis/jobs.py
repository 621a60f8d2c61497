"""Batches in Redis, and two lists of them by their moment: all, and those without an answer."""

from typing import Any

import msgspec

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client, values_of
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.jobs import BatchJob, WithoutStudent, answered, names_student

SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(BatchJob).decode
_decode_member = msgspec.msgpack.Decoder(tuple[str, str]).decode


class RedisJobs:
    """See ``JobStore``. ``life_ms`` is the life of a batch after its last write."""

    def __init__(self, client: Client, *, life_ms: int) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async
        self._life_ms = life_ms

    @or_unavailable
    async def put(self, job: BatchJob) -> None:
        """A batch is listed before its value is there: a crash in between leaves none unlisted."""
        member, name = _encode([job.tenant, job.batch_id]), names.batch(job.tenant, job.batch_id)
        await self._client.zadd(names.BATCHES, {member: job.created})
        await self._client.zadd(names.OPEN_BATCHES, {member: job.created})
        await self._client.set(name, _encode(job), px=self._life_ms, nx=True)

    @or_unavailable
    async def answer(self, job: BatchJob, answer: bytes) -> bool:
        name = names.batch(job.tenant, job.batch_id)
        packed = await self._client.get(name)
        if packed is None or _decode(packed) != job or not await self._swap(name, packed, answered(job, answer)):
            return False
        await self._client.zrem(names.OPEN_BATCHES, _encode([job.tenant, job.batch_id]))
        return True

    async def _swap(self, name: str, packed: bytes, after: BatchJob | None) -> bool:
        """Write a batch, or remove it, if it is still what was read; whether it was."""
        value = b"" if after is None else _encode(after)
        return bool(await self._client.eval(SWAP, 1, name, packed, value, self._life_ms))

    @or_unavailable
    async def find(self, tenant: str, batch_id: str) -> BatchJob | None:
        packed = await self._client.get(names.batch(tenant, batch_id))
        return None if packed is None else _decode(packed)

    @or_unavailable
    async def open(self) -> list[BatchJob]:
        members = await self._client.zrange(names.OPEN_BATCHES, 0, -1)
        packed = await values_of(self._client, [names.batch(*_decode_member(member)) for member in members])
        jobs = [_decode(value) for value in packed if value is not None]
        return [job for job in jobs if job.answer is None]

    @or_unavailable
    async def of(self, key: StudentKey) -> list[BatchJob]:
        found: dict[str, BatchJob] = {}
        async for name in self._client.scan_iter(match=names.batch(key.tenant, "*"), count=PAGE):
            packed = await self._client.get(name)
            if packed is not None and names_student(job := _decode(packed), key):
                found[job.batch_id] = job  # a scan may come by a key twice
        return sorted(found.values(), key=lambda job: job.created)

    @or_unavailable
    async def erase(self, key: StudentKey, without: WithoutStudent) -> int:
        changed: set[bytes] = set()
        async for name in self._client.scan_iter(match=names.batch(key.tenant, "*"), count=PAGE):
            while (packed := await self._client.get(name)) is not None:
                job = _decode(packed)
                left = without(job) if names_student(job, key) else job
                if left == job:
                    break
                if await self._swap(name, packed, left):
                    changed.add(name)
                    if left is None:
                        await self._unlist(_encode([job.tenant, job.batch_id]))
                    break
        return len(changed)

    @or_unavailable
    async def purge(self, before: Micros) -> int:
        removed = 0
        for member in await self._client.zrangebyscore(names.BATCHES, "-inf", f"({before}"):
            removed += await self._client.delete(names.batch(*_decode_member(member)))
            await self._unlist(member)
        return removed

    async def _unlist(self, member: bytes) -> None:
        await self._client.zrem(names.OPEN_BATCHES, member)
        await self._client.zrem(names.BATCHES, member)
