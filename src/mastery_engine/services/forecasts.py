"""Forecasts of students' scores, and trajectories: the past scores with the forecast."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec
from cachetools import LRUCache

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE, CourseKey
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
from mastery_engine.services.students import StudentInCourse

WEEK = 7
MOST_COURSES = 1_000
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
        cohorts: Cohorts,
        profiling: Profiling,
        calibrations: Calibrations,
        results: ResultCache,
        clock: Clock,
    ) -> None:
        self._model = model
        self._cohorts = cohorts
        self._profiling = profiling
        self._calibrations = calibrations
        self._results = results
        self._clock = clock
        self._bases: LRUCache[CourseKey, tuple[Rules, str]] = LRUCache(MOST_COURSES)

    async def next_days(
        self,
        caller: Caller,
        student_id: str,
        days: int = WEEK,
        *,
        course_id: str | None = None,
        read: StudentInCourse | None = None,
    ) -> Prediction:
        """The forecast for the next 1 to 30 days.

        Raises Forbidden, NotFound, CourseRequired, and Conflict without profiling.
        """
        now = caller.moment(self._clock)
        found = await self._profiling.known(caller, student_id, course_id, "next-week", now, read)
        known = await self.calibration(found.key.course, now)
        return prediction(student_id, await self._of(found, days, known), known, found.rules)

    async def trajectory(
        self, caller: Caller, student_id: str, days: int = 30, *, course_id: str | None = None
    ) -> Trajectory:
        """The scores of the last 7 to 90 days, with today, and the forecast of the next 7. Raises as ``next_days``."""
        now = caller.moment(self._clock)
        found = await self._profiling.known(caller, student_id, course_id, "trajectory", now)
        today, levels = found.today, found.rules.levels
        points = found.points(first=today - days + 1, last=today)
        known = await self.calibration(found.key.course, now)
        ahead = await self._of(found, WEEK, known)
        return Trajectory(
            student_id=student_id,
            days=days,
            trend=trend(found.scores(last=today), today),
            points=[TrajectoryPoint(iso_date(point.day), point.score, levels[point.rank].name) for point in points],
            forecast=forecast_days(ahead.days, found.rules),
            predicted_score=shown_score(ahead.predicted, found.rules),
            confidence=round(ahead.confidence, 4),
            intervention_needed=ahead.intervention_needed,
            timeframe_days=len(ahead.days),
            calibration=forecast_calibration(known),
        )

    async def _of(self, of: StudentInCourse, days: int, known: Calibration) -> Forecast:
        student_id = of.key.student_id
        return (await self.of_documents(of.setup, {student_id: of.document}, of.now, days, known))[student_id]

    async def of_documents(
        self,
        course: CourseSetup,
        documents: Mapping[str, StoredDocument],
        now: Micros,
        days: int = WEEK,
        known: Calibration | None = None,
    ) -> dict[str, Forecast]:
        """The forecasts from documents by student: those that every call, page and tool shows, cached alike.

        The documents are those of one ``course``; ``known`` is its calibration where that is at hand. Who may see the
        forecasts, and whether the students consent to profiling, the caller has looked at. Raises Unavailable.
        """
        known = known or await self.calibration(course.key, now)
        found: dict[str, Forecast] = {}
        for start in range(0, len(documents), AT_ONCE):
            page = list(islice(documents.items(), start, start + AT_ONCE))
            found |= await self._page(course, page, now, days, known)
        return found

    async def _page(
        self,
        course: CourseSetup,
        page: Sequence[tuple[str, StoredDocument]],
        now: Micros,
        days: int,
        known: Calibration,
    ) -> dict[str, Forecast]:
        tenant, course_id = course.key
        calendars = await self._cohorts.due_days(
            course.key, {student_id: document.student.cohorts for student_id, document in page}, now
        )
        made_from = {name: self.made_from(course, due_days, now, known) for name, due_days in calendars.items()}
        kind = f"forecast-{days}" if course_id == DEFAULT_COURSE else f"forecast-{days}:{course_id}"
        places = [
            (
                ResultKey(tenant, student_id, kind),
                f"{document.version}:{document.student.updated}:{made_from[student_id]}",
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
            due_days = calendars[student_id]
            found[student_id] = self.make(document.student, now, course.rules, due_days, known, days)
            made.append((*place, _encode(found[student_id])))
        await asyncio.gather(*(self._results.put(*result) for result in made))
        return found

    async def calibration(self, course: CourseKey, now: Micros) -> Calibration:
        """The calibration by which forecasts in a course are made. Raises Unavailable if it is not known."""
        return await self._calibrations.of(course, now)

    def make(
        self,
        student: Student,
        now: Micros,
        rules: Rules,
        due_days: Sequence[Day],
        known: Calibration,
        days: int = WEEK,
    ) -> Forecast:
        """A forecast by the ``rules`` of a course, made anew: nothing is read, and it is not cached."""
        return forecast(student, now, days, self._model, rules, due_days, known)

    def made_from(self, course: CourseSetup, due_days: Sequence[Day], now: Micros, known: Calibration) -> str:
        """What a forecast is made from beside the document: model, rules, day, calendar and calibration."""
        calendar = derived_id("calendar", *map(str, due_days)) if due_days else ""
        return f"{course.rules.day_of(now)}:{self._basis(course)}:{calendar}:{known.as_of}"

    def _basis(self, course: CourseSetup) -> str:
        """An id of the model and a course's rules."""
        cached = self._bases.get(course.key)
        if cached is None or cached[0] is not course.rules:
            cached = self._bases[course.key] = course.rules, derived_id(self._model.version, repr(course.rules))
        return cached[1]
