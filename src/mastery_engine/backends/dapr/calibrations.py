"""Calibrations in Dapr's state: one value for each course, and which courses of a tenant have one."""

from base64 import b64decode, b64encode
from collections.abc import Mapping

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.backends.dapr.index import DaprIndex
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.forecast.calibration import Calibration


class DaprCalibrations:
    """See ``CalibrationStore``."""

    def __init__(self, state: DaprState) -> None:
        self._state = state

    async def get(self, course: CourseKey) -> Calibration | None:
        (value,) = await self._state.read([keys.calibration(course)])
        return _calibration(value)

    async def put(self, course: CourseKey, calibration: Calibration) -> None:
        """The course is listed after its value is there: the list names none without."""
        packed = b64encode(calibration.pack()).decode()
        await self._state.change([Write(keys.calibration(course), packed, None, None)])
        await self._courses(course.tenant).add([course.course_id])

    async def of_tenant(self, tenant: str) -> Mapping[str, Calibration]:
        course_ids = sorted(await self._courses(tenant).members())
        values = await self._state.read([keys.calibration(CourseKey(tenant, course_id)) for course_id in course_ids])
        read = zip(course_ids, map(_calibration, values), strict=True)
        return {course_id: calibration for course_id, calibration in read if calibration is not None}

    def _courses(self, tenant: str) -> DaprIndex:
        return DaprIndex(self._state, f"calibrations:{tenant}")


def _calibration(value: Value | None) -> Calibration | None:
    return None if value is None else Calibration.unpack(b64decode(value.data))
