"""Calibrations in memory."""

from collections.abc import Mapping

from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.forecast.calibration import Calibration


class MemoryCalibrations:
    """See ``CalibrationStore``."""

    def __init__(self) -> None:
        self._calibrations: dict[CourseKey, Calibration] = {}

    async def get(self, course: CourseKey) -> Calibration | None:
        return self._calibrations.get(course)

    async def put(self, course: CourseKey, calibration: Calibration) -> None:
        self._calibrations[course] = calibration

    async def of_tenant(self, tenant: str) -> Mapping[str, Calibration]:
        return {
            course.course_id: calibration
            for course, calibration in self._calibrations.items()
            if course.tenant == tenant
        }
