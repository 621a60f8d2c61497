"""Forecasts of students' scores, and trajectories: the past scores with the forecast."""

from collections.abc import Sequence

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.evidence.history import trend
from mastery_engine.domain.forecast.forecast import Forecast, forecast
from mastery_engine.domain.forecast.model import ForecastModel
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import Day, Micros, day_of, iso_date
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.documents import StoredDocument
from mastery_engine.ports.result_cache import ResultCache, ResultKey
from mastery_engine.responses.forecasts import Prediction, Trajectory, TrajectoryPoint, forecast_days, prediction
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.profiling import Profiling
from mastery_engine.services.students import Students

WEEK = 7

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Forecast).decode


class Forecasts:
    """Forecasts for known students.

    A forecast is cached for five minutes, for all replicas, as long as document, calendar, model and day are the same.
    """

    def __init__(
        self,
        model: ForecastModel,
        students: Students,
        cohorts: Cohorts,
        profiling: Profiling,
        results: ResultCache,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._model = model
        self._students = students
        self._cohorts = cohorts
        self._profiling = profiling
        self._results = results
        self._rules = rules
        self._clock = clock
        self._basis = derived_id(model.version, repr(rules))

    async def next_days(self, caller: Caller, student_id: str, days: int = WEEK) -> Prediction:
        """The forecast for the next 1 to 30 days. Raises Forbidden, NotFound, and Conflict without profiling."""
        now = caller.moment(self._clock)
        document = await self._profiling.document(caller, student_id, "next-week", now)
        return prediction(student_id, await self._forecast(StudentKey(caller.tenant, student_id), document, days, now))

    async def trajectory(self, caller: Caller, student_id: str, days: int = 30) -> Trajectory:
        """The scores of the last 7 to 90 days, with today, and the forecast of the next 7. Raises as ``next_days``."""
        now = caller.moment(self._clock)
        document = await self._profiling.document(caller, student_id, "trajectory", now)
        student, today = document.student, day_of(now)
        points = self._students.points(student, now, first=today - days + 1, last=today)
        levels = self._rules.levels
        ahead = await self._forecast(StudentKey(caller.tenant, student_id), document, WEEK, now)
        return Trajectory(
            student_id=student_id,
            days=days,
            trend=trend(self._students.scores(student, now, last=today), today),
            points=[
                TrajectoryPoint(
                    iso_date(point.day), round(point.score, 4), levels[min(point.rank, len(levels) - 1)].name
                )
                for point in points
            ],
            forecast=forecast_days(ahead.days),
            predicted_score=round(ahead.predicted, 4),
            confidence=round(ahead.confidence, 4),
            intervention_needed=ahead.intervention_needed,
            timeframe_days=len(ahead.days),
        )

    async def _forecast(self, key: StudentKey, document: StoredDocument, days: int, now: Micros) -> Forecast:
        due_days = await self._cohorts.due_days(key, document.student.cohorts, now)
        cached_under = ResultKey(key.tenant, key.student_id, f"forecast-{days}")
        version = self._version(document, due_days, now)
        cached = await self._results.get(cached_under, version)
        if cached is not None:
            return _decode(cached)
        made = forecast(document.student, now, days, self._model, self._rules, due_days)
        await self._results.put(cached_under, version, _encode(made))
        return made

    def _version(self, document: StoredDocument, due_days: Sequence[Day], now: Micros) -> str:
        """The cache's version of a forecast: it changes with the document, calendar, day, model and rules."""
        calendar = derived_id("calendar", *map(str, due_days)) if due_days else ""
        return f"{document.version}:{document.student.updated}:{day_of(now)}:{self._basis}:{calendar}"
