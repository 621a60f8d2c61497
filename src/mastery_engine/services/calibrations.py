"""The courses' calibrations: what each has learned of its own forecasts, as everybody in the service sees it."""

import msgspec
from cachetools import LRUCache

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
from mastery_engine.domain.forecast.calibration import UNKNOWN, Calibration
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import Unavailable
from mastery_engine.ports.calibrations import CalibrationStore
from mastery_engine.responses.forecasts import (
    CourseCalibration,
    ForecastCalibration,
    course_calibration,
    forecast_calibration,
)
from mastery_engine.services.access_control import AccessControl

CACHED_FOR: Micros = 30 * SECOND
MOST_COURSES = 10_000


class CachedCalibration(msgspec.Struct, frozen=True):
    """A course's calibration, and when it was read."""

    calibration: Calibration
    read: Micros


class Calibrations:
    """Reads and writes calibrations. What another process learns is taken up within half a minute."""

    def __init__(self, store: CalibrationStore, access: AccessControl, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._clock = clock
        self._cached: LRUCache[CourseKey, CachedCalibration] = LRUCache(MOST_COURSES)

    async def of(self, course: CourseKey, now: Micros) -> Calibration:
        """The calibration of a course; ``UNKNOWN`` if it has none yet. Raises Unavailable if it was never read."""
        cached = self._cached.get(course)
        if cached is not None and abs(now - cached.read) < CACHED_FOR:
            return cached.calibration
        try:
            found = await self._store.get(course) or UNKNOWN
        except Unavailable:
            if cached is None:
                raise
            found = cached.calibration
        self._cached[course] = CachedCalibration(found, now)
        return found

    async def put(self, course: CourseKey, calibration: Calibration, now: Micros) -> None:
        """Keep what a course has learned; it holds in this process at once. Raises Unavailable."""
        await self._store.put(course, calibration)
        self._cached[course] = CachedCalibration(calibration, now)

    async def of_course(self, caller: Caller, course_id: str = DEFAULT_COURSE) -> ForecastCalibration:
        """Whether the forecasts of a course are calibrated, which is no secret. Raises Unavailable."""
        return forecast_calibration(await self.of(CourseKey(caller.tenant, course_id), caller.moment(self._clock)))

    async def of_tenant(self, caller: Caller) -> list[CourseCalibration]:
        """The calibrations of the caller's tenant, by course, for operators. Raises Forbidden."""
        self._access.check_act(caller, Act.OPERATE, "calibrations")
        found = await self._store.of_tenant(caller.tenant)
        return [course_calibration(CourseKey(caller.tenant, course_id), one) for course_id, one in found.items()]
