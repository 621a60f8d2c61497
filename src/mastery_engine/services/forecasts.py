"""Forecasts of students' scores, and trajectories: the past scores with the forecast."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.evidence.history import trend
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.forecast.calibration import Calibration
from mastery_engine.domain.forecast.forecast import Forecast, forecast
from mastery_engine.domain.forecast.model import ForecastModel
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import Day, Micros, iso_date
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import Student
from mastery_engine.ports.documents import StoredDocument
from mastery_engine.ports.result_cache import ResultCache, ResultKey
from mastery_engine.responses.forecasts import (
    Prediction,
    Trajectory,
    TrajectoryPoint,
    forecast_calibration,
    forecast_days,
    prediction,
)
from mastery_engine.services.calibrations import Calibrations
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.profiling import Profiling
from mastery_engine.services.students import Students

WEEK = 7
AT_ONCE = 100  # students whose calendars and cached forecasts are asked for at the same time

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Forecast).decode


class Forecasts:
    """Forecasts for known students.

    A forecast is cached for five minutes, for all replicas, as long as document, calendar, model, the calibration of
    its course and the day are the same.
    """

    def __init__(
        self,
        model: ForecastModel,
        students: Students,
        cohorts: Cohorts,
        profiling: Profiling,
        calibrations: Calibrations,
        results: ResultCache,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._model = model
        self._students = students
        self._cohorts = cohorts
        self._profiling = profiling
        self._calibrations = calibrations
        self._results = results
        self._rules = rules
        self._clock = clock
        self._basis = derived_id(model.version, repr(rules))

    async def next_days(self, caller: Caller, student_id: str, days: int = WEEK) -> Prediction:
        """The forecast for the next 1 to 30 days. Raises Forbidden, NotFound, and Conflict without profiling."""
        now = caller.moment(self._clock)
        document = await self._profiling.document(caller, student_id, "next-week", now)
        known = await self.calibration(caller.tenant, now)
        found = await self.of_documents(caller.tenant, {student_id: document}, now, days, known)
        return prediction(student_id, found[student_id], known, self._rules)

    async def trajectory(self, caller: Caller, student_id: str, days: int = 30) -> Trajectory:
        """The scores of the last 7 to 90 days, with today, and the forecast of the next 7. Raises as ``next_days``."""
        now = caller.moment(self._clock)
        document = await self._profiling.document(caller, student_id, "trajectory", now)
        student, today = document.student, self._rules.day_of(now)
        points = self._students.points(student, now, first=today - days + 1, last=today)
        levels = self._rules.levels
        known = await self.calibration(caller.tenant, now)
        ahead = (await self.of_documents(caller.tenant, {student_id: document}, now, WEEK, known))[student_id]
        return Trajectory(
            student_id=student_id,
            days=days,
            trend=trend(self._students.scores(student, now, last=today), today),
            points=[TrajectoryPoint(iso_date(point.day), point.score, levels[point.rank].name) for point in points],
            forecast=forecast_days(ahead.days, self._rules),
            predicted_score=shown_score(ahead.predicted, self._rules),
            confidence=round(ahead.confidence, 4),
            intervention_needed=ahead.intervention_needed,
            timeframe_days=len(ahead.days),
            calibration=forecast_calibration(known),
        )

    async def of_documents(
        self,
        tenant: str,
        documents: Mapping[str, StoredDocument],
        now: Micros,
        days: int = WEEK,
        known: Calibration | None = None,
    ) -> dict[str, Forecast]:
        """The forecasts from documents by student: those that every call, page and tool shows, cached alike.

        ``known`` is the course's calibration where that is at hand. Who may see the forecasts, and whether the students
        consent to profiling, the caller has looked at. Raises Unavailable.
        """
        known = known or await self.calibration(tenant, now)
        found: dict[str, Forecast] = {}
        for start in range(0, len(documents), AT_ONCE):
            page = list(islice(documents.items(), start, start + AT_ONCE))
            found |= await self._page(tenant, page, now, days, known)
        return found

    async def _page(
        self, tenant: str, page: Sequence[tuple[str, StoredDocument]], now: Micros, days: int, known: Calibration
    ) -> dict[str, Forecast]:
        calendars = await self._cohorts.due_days(
            tenant, {student_id: document.student.cohorts for student_id, document in page}, now
        )
        places = [
            (
                ResultKey(tenant, student_id, f"forecast-{days}"),
                f"{document.version}:{document.student.updated}:{self.made_from(calendars[student_id], now, known)}",
            )
            for student_id, document in page
        ]
        cached = await asyncio.gather(*(self._results.get(*place) for place in places))
        found: dict[str, Forecast] = {}
        made: list[tuple[ResultKey, str, bytes]] = []
        for (student_id, document), place, packed in zip(page, places, cached, strict=True):
            if packed is not None:
                found[student_id] = _decode(packed)
                continue
            if made:
                await asyncio.sleep(0)  # let other calls run between the forecasts of a class
            found[student_id] = self.make(document.student, now, calendars[student_id], known, days)
            made.append((*place, _encode(found[student_id])))
        await asyncio.gather(*(self._results.put(*result) for result in made))
        return found

    async def calibration(self, tenant: str, now: Micros) -> Calibration:
        """The calibration by which forecasts of a tenant's students are made. Raises Unavailable if it is not known."""
        return await self._calibrations.of(CourseKey(tenant), now)

    def make(
        self, student: Student, now: Micros, due_days: Sequence[Day], known: Calibration, days: int = WEEK
    ) -> Forecast:
        """A forecast, made anew: nothing is read, and it is not cached."""
        return forecast(student, now, days, self._model, self._rules, due_days, known)

    def made_from(self, due_days: Sequence[Day], now: Micros, known: Calibration) -> str:
        """What a forecast is made from beside the document: model, rules, day, calendar and calibration."""
        calendar = derived_id("calendar", *map(str, due_days)) if due_days else ""
        return f"{self._rules.day_of(now)}:{self._basis}:{calendar}:{known.as_of}"
