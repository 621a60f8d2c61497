"""The part of the Redis store that keeps cohorts.

A cohort's two keys share one hash tag: the admin's word, which begins with its version and does not expire, and who
joined by events, each with the day of their last event, so that those whom nothing counts for any more drop out. Beside
a student stand the cohorts that an admin put them in: a hint, since the cohort's own record decides.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.backends.redis.keys import VERSION_BYTES, beside
from mastery_engine.domain.cohorts.cohort import NO_COHORT, Cohort
from mastery_engine.domain.moments import DAY, Day
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.documents import Join, Roster

JOINED_KEYS = "mastery:cohort:*}:in"

READ_VERSIONS = """
local found = {}
for i = 1, #KEYS do found[i] = redis.call('GETRANGE', KEYS[i], 0, 7) end
return found
"""
PUT_COHORT = """
if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cohort).decode


class RedisCohorts:
    """See ``Store``."""

    _client: Any
    _life_ms: int
    _is_alone: bool

    @or_unavailable
    async def versions(self, keys: Sequence[StudentKey]) -> list[int]:
        names = [beside(key, "d") for key in keys]
        if not names:
            return []
        if self._is_alone:
            found = await self._client.execute_command("EVAL", READ_VERSIONS, len(names), *names)
        else:
            pipeline = self._client.pipeline()
            for name in names:
                pipeline.getrange(name, 0, VERSION_BYTES - 1)
            found = await pipeline.execute()
        return [int.from_bytes(version, "big") for version in found]

    @or_unavailable
    async def cohort(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        pipeline = self._client.pipeline()
        pipeline.get(_record(tenant, cohort_id))
        pipeline.zrangebyscore(_joined(tenant, cohort_id), since, "+inf")
        value, joined = await pipeline.execute()
        version, cohort = 0, NO_COHORT
        if value is not None:
            version, cohort = int.from_bytes(value[:VERSION_BYTES], "big"), _decode(value[VERSION_BYTES:])
        return Roster(version, cohort, frozenset(one.decode() for one in joined))

    @or_unavailable
    async def put_cohort(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        """Hints for whom is put in come before the record, those for whom is not go after it: none is ever missing."""
        name = _record(tenant, cohort_id)
        before = await self._client.get(name)
        was = frozenset(_decode(before[VERSION_BYTES:]).put) if before else frozenset()
        await self._hint("sadd", tenant, cohort_id, frozenset(cohort.put) - was)
        expected = version.to_bytes(VERSION_BYTES, "big") if version else b""
        value = (version + 1).to_bytes(VERSION_BYTES, "big") + _encode(cohort)
        if not await self._client.execute_command("EVAL", PUT_COHORT, 1, name, expected, value):
            return False
        await self._hint("srem", tenant, cohort_id, was.difference(cohort.put))
        return True

    async def _hint(self, change: str, tenant: str, cohort_id: str, student_ids: Iterable[str]) -> None:
        pipeline = self._client.pipeline()
        for student_id in student_ids:
            getattr(pipeline, change)(beside(StudentKey(tenant, student_id), "g"), cohort_id)
        await pipeline.execute()

    @or_unavailable
    async def cohorts_of(self, key: StudentKey) -> frozenset[str]:
        return frozenset(one.decode() for one in await self._client.smembers(beside(key, "g")))

    @or_unavailable
    async def join(self, joins: Sequence[Join]) -> None:
        pipeline = self._client.pipeline()
        rows: dict[str, dict[str, Day]] = {}
        for one in joins:
            rows.setdefault(_joined(one.key.tenant, one.cohort_id), {})[one.key.student_id] = one.day
        for name, days in rows.items():
            pipeline.zadd(name, days, gt=True)
            pipeline.zremrangebyscore(name, "-inf", max(days.values()) - self._life_ms * 1_000 // DAY)
            pipeline.pexpire(name, self._life_ms)
        await pipeline.execute()

    @or_unavailable
    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        for cohort_id in cohort_ids:
            await self._client.zrem(_joined(key.tenant, cohort_id), key.student_id)


def _record(tenant: str, cohort_id: str) -> str:
    return f"mastery:cohort:{{{tenant}:{_shown(cohort_id)}}}"


def _joined(tenant: str, cohort_id: str) -> str:
    return f"{_record(tenant, cohort_id)}:in"


def _shown(cohort_id: str) -> str:
    """The id with no brace in it, which would end the hash tag early."""
    return cohort_id.replace("%", "%25").replace("}", "%7D")
