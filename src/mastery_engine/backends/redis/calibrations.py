"""Calibrations in Redis: a hash for each tenant, by course."""

from collections.abc import Mapping
from typing import Any

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import Client
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.forecast.calibration import Calibration


class RedisCalibrations:
    """See ``CalibrationStore``."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    @or_unavailable
    async def get(self, course: CourseKey) -> Calibration | None:
        packed = await self._client.hget(names.calibrations(course.tenant), course.course_id)
        return None if packed is None else Calibration.unpack(packed)

    @or_unavailable
    async def put(self, course: CourseKey, calibration: Calibration) -> None:
        await self._client.hset(names.calibrations(course.tenant), course.course_id, calibration.pack())

    @or_unavailable
    async def of_tenant(self, tenant: str) -> Mapping[str, Calibration]:
        packed = await self._client.hgetall(names.calibrations(tenant))
        read = {course_id.decode(): Calibration.unpack(body) for course_id, body in sorted(packed.items())}
        return {course_id: calibration for course_id, calibration in read.items() if calibration is not None}
