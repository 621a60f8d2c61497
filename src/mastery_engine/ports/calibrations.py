"""What each course has learned of its own forecasts. It is about no single student."""

from collections.abc import Mapping
from typing import Protocol

from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.forecast.calibration import Calibration


class CalibrationStore(Protocol):
    """The newest calibration of each course, for good. All calls raise Unavailable when the store is away.

    One that an engine of another format wrote is not found: it is learned again.
    """

    async def get(self, course: CourseKey) -> Calibration | None:
        """The calibration of a course; None where there is none."""
        ...

    async def put(self, course: CourseKey, calibration: Calibration) -> None:
        """Keep a calibration in the place of the course's last one; durable on return."""
        ...

    async def of_tenant(self, tenant: str) -> Mapping[str, Calibration]:
        """The calibrations of a tenant, by the course's id."""
        ...
