"""Refusals in Redis: a hash for each student, by event, and where the course is not the default one by course too."""

from collections.abc import Sequence
from typing import Any

import msgspec

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import PAGE, Client
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.refusals import Refusal

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Refusal).decode


class RedisRefusals:
    """See ``RefusalStore``. ``life_ms`` is the life of a student's refusals after the last of them."""

    def __init__(self, client: Client, *, life_ms: int) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async
        self._life_ms = life_ms

    @or_unavailable
    async def put(self, refusals: Sequence[Refusal]) -> None:
        if not refusals:
            return
        pipeline = self._client.pipeline()
        for refusal in refusals:
            name = names.refusals(refusal.key)
            pipeline.hset(name, _field(refusal.event_id, refusal.course_id), _encode(refusal))
            pipeline.pexpire(name, self._life_ms)
            if refusal.course_id != DEFAULT_COURSE:
                courses = names.courses_of_refusals(refusal.key)
                pipeline.sadd(courses, refusal.course_id)
                pipeline.pexpire(courses, self._life_ms)
        await pipeline.execute()

    @or_unavailable
    async def find(self, key: StudentKey, event_id: str, *, course_id: str | None = None) -> Refusal | None:
        if course_id is not None:
            packed = await self._client.hget(names.refusals(key), _field(event_id, course_id))
            return None if packed is None else _decode(packed)
        pipeline = self._client.pipeline()
        pipeline.hget(names.refusals(key), event_id)
        pipeline.smembers(names.courses_of_refusals(key))
        default, courses = await pipeline.execute()
        fields = [_field(event_id, course.decode()) for course in courses]
        others = await self._client.hmget(names.refusals(key), fields) if fields else []
        found = (_decode(packed) for packed in (default, *others) if packed is not None)
        return max(found, key=lambda refusal: refusal.at, default=None)

    @or_unavailable
    async def of(self, key: StudentKey) -> list[Refusal]:
        packed = await self._client.hvals(names.refusals(key))
        return sorted(map(_decode, packed), key=lambda refusal: refusal.at)

    @or_unavailable
    async def erase(self, key: StudentKey) -> int:
        pipeline = self._client.pipeline()
        pipeline.hlen(names.refusals(key))
        pipeline.delete(names.refusals(key), names.courses_of_refusals(key))
        count, _ = await pipeline.execute()
        return int(count)

    @or_unavailable
    async def purge(self, before: Micros) -> int:
        removed = 0
        async for name in self._client.scan_iter(match=names.REFUSALS, count=PAGE):
            refusals = await self._client.hgetall(name)
            old = [event_id for event_id, packed in refusals.items() if _decode(packed).at < before]
            if old:
                removed += await self._client.hdel(name, *old)
        return removed


def _field(event_id: str, course_id: str) -> str:
    """As an engine that knew no courses named it, in the default one; no event's id has a blank in it."""
    return event_id if course_id == DEFAULT_COURSE else f"{event_id} {course_id}"
