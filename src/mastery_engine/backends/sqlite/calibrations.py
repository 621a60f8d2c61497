"""Calibrations in SQLite."""

from collections.abc import Mapping

from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.forecast.calibration import Calibration

_GET = "SELECT body FROM calibrations WHERE tenant = ? AND course_id = ?"
_PUT = "INSERT OR REPLACE INTO calibrations VALUES (?, ?, ?)"
_OF_TENANT = "SELECT course_id, body FROM calibrations WHERE tenant = ? ORDER BY course_id"


class SqliteCalibrations:
    """See ``CalibrationStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, course: CourseKey) -> Calibration | None:
        rows = self._database.read(_GET, course)
        return Calibration.unpack(rows[0][0]) if rows else None

    async def put(self, course: CourseKey, calibration: Calibration) -> None:
        await self._database.put(_PUT, [(*course, calibration.pack())])

    async def of_tenant(self, tenant: str) -> Mapping[str, Calibration]:
        rows = await self._database.fetch(_OF_TENANT, (tenant,))
        read = {course_id: Calibration.unpack(body) for course_id, body in rows}
        return {course_id: calibration for course_id, calibration in read.items() if calibration is not None}
