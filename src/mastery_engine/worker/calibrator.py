"""The calibrator: each course learns from its own past weeks how true its forecasts are, daily and on request.

From what the log holds the forecasts of past weeks are made as they would have been, for a sample of the students, and
held against what came. One process of all does it each day, and all take up what it learned; twice changes nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import TypeVar

from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.forecast.calibration import Miss, calibration_from
from mastery_engine.domain.forecast.misses import misses_of
from mastery_engine.domain.forecast.model import ForecastModel
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import DAY, MINUTE, Day, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, DocumentKey, Student
from mastery_engine.errors import Unavailable
from mastery_engine.ports.backend import Logs, Stores
from mastery_engine.ports.event_log import Batch, Record
from mastery_engine.responses.forecasts import CourseCalibration, course_calibration
from mastery_engine.services.calibrations import Calibrations
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.worker.decoding import RecordDecoder
from mastery_engine.worker.sampled_students import SampledStudents

logger = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_EVERY_S = 60.0
PATIENCE: Micros = 15 * MINUTE  # a process that has not ended by then is believed to have died
RETRY: Micros = 10 * MINUTE
LONGEST_REST_S = 1.0
STUDENTS_AT_ONCE = 100
DECODED_AT_ONCE = 500  # records: some 5 ms


class Calibrator:
    """Learns the calibrations of courses from the log. It takes no part in working the log, and may run beside that."""

    def __init__(
        self,
        stores: Stores,
        logs: Logs,
        cohorts: Cohorts,
        consents: Consents,
        courses: Courses,
        calibrations: Calibrations,
        decoder: RecordDecoder,
        model: ForecastModel,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._documents, self._claims, self._events = stores.documents, stores.idempotency, logs.events
        self._cohorts = cohorts
        self._consents = consents
        self._courses = courses
        self._calibrations = calibrations
        self._decoder = decoder
        self._model = model
        self._clock = clock
        self._new_id = new_id

    async def sample(
        self, tenant: str | None = None, *, on_progress: Callable[[float], None] | None = None, gently: bool = False
    ) -> SampledStudents:
        """Read the log and take each course's sample, of one tenant or of all.

        ``on_progress`` gets the number of records read. Raises Unavailable.
        """
        await self._consents.refresh()
        sampled, read = SampledStudents(self._decoder, self._consents.links.owner, tenant), 0
        async for page in self._events.pages():
            await _apart(partial(sampled.take, page), gently=gently)
            read += len(page)
            if on_progress is not None:
                on_progress(read)
        return sampled

    async def learn(
        self,
        sampled: SampledStudents,
        course_id: str | None = None,
        *,
        on_progress: Callable[[float], None] | None = None,
        gently: bool = False,
    ) -> list[CourseCalibration]:
        """Calibrate the courses of the sample, or the one of this id, and keep what they have learned.

        ``gently`` leaves the processor to others half of the time. ``on_progress`` gets the number of students done.
        Raises Unavailable.
        """
        learned: list[CourseCalibration] = []
        done = 0
        for course in sorted(sampled.courses):
            if course_id not in (None, course.course_id):
                continue
            now, misses = self._clock(), list[Miss]()
            rules = (await self._courses.of(course, now)).rules
            students = sampled.students(course)
            for start in range(0, len(students), STUDENTS_AT_ONCE):
                page = students[start : start + STUDENTS_AT_ONCE]
                misses += await self._misses(course, page, rules, now, gently=gently)
                done += len(page)
                if on_progress is not None:
                    on_progress(done)
            calibration = await _apart(partial(calibration_from, misses, now, rules.zone), gently=gently)
            await self._calibrations.put(course, calibration, now)
            learned.append(course_calibration(course, calibration))
        return learned

    async def _misses(
        self,
        course: CourseKey,
        students: Sequence[tuple[DocumentKey, list[Record]]],
        rules: Rules,
        now: Micros,
        *,
        gently: bool,
    ) -> list[Miss]:
        """The misses of these students in the weeks that were over by now; without those who allow no profiling."""
        await self._consents.refresh()
        stored = await self._documents.load([key for key, _ in students])
        documents = {
            key.student_id: NOBODY if document is None else document.student
            for (key, _), document in zip(students, stored, strict=True)
        }
        named = {student_id: student.cohorts for student_id, student in documents.items()}
        due_days = await self._cohorts.due_days(course, named, now)
        misses: list[Miss] = []
        for key, records in students:
            events = await self._allowed(key, records)
            if not events:
                continue
            student, due = documents[key.student_id], due_days[key.student_id]
            try:
                misses += await _apart(partial(self._of_student, student, events, due, rules, now), gently=gently)
            except Exception:
                logger.exception("a student's past weeks cannot be forecast, and are left out")
        return misses

    def _of_student(
        self, student: Student, events: Sequence[LearningEvent], due_days: Sequence[Day], rules: Rules, now: Micros
    ) -> list[Miss]:
        return misses_of(events, self._model, rules, until=now, due_known=lambda _: due_days, document=student)

    async def _allowed(self, key: DocumentKey, records: Sequence[Record]) -> list[LearningEvent]:
        """The student's events, each once, that were allowed at their receipt; none of who allows no profiling now."""
        if not self._consents.state(key.student).profiling:
            return []
        events: dict[str, LearningEvent] = {}
        for start in range(0, len(records), DECODED_AT_ONCE):
            decoded = self._decoder.decode(Batch(tuple(records[start : start + DECODED_AT_ONCE]), {}, {})).events
            for logged in self._consents.filter_by_consent({key: decoded})[key]:
                events.setdefault(logged.event.event_id, logged.event)
            await asyncio.sleep(0)
        return list(events.values())

    async def keep_running(self) -> None:
        """Calibrate each day (UTC) until cancelled, unless another process does."""
        me, again = self._new_id(), 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = self._clock()
            if now < again:
                continue
            try:
                again = await self._calibrated(me, now)
            except Unavailable as error:
                logger.warning("the calibration cannot run yet: %s", error)

    async def _calibrated(self, me: str, now: Micros) -> Micros:
        """Calibrate if it is this process's turn; when there is something to do again. Raises Unavailable.

        It is the turn of the first process that asks on a day. After a quarter of an hour another one takes over, if
        that one has not ended. While no course has enough weeks there is no end: a school may be reading in its past.
        """
        today, tomorrow = day_of(now), (day_of(now) + 1) * DAY
        began, _, whose = (await self._claim("begin", today, f"{now} {me}")).partition(" ")
        if whose != me:
            if now - int(began) < PATIENCE:
                return now
            if await self._claim("end", today, me) != me:
                return tomorrow
        learned = await self.learn(await self.sample(gently=True), gently=True)
        for one in learned:
            extra = {"tenant": one.tenant, "course_id": one.course_id, "student_weeks": one.student_weeks}
            logger.info("calibrated" if one.calibrated else "not calibrated yet", extra=extra)
        if not any(one.calibrated for one in learned):
            return min(tomorrow, now + RETRY)
        await self._claim("end", today, me)
        return tomorrow

    async def _claim(self, what: str, today: Day, body: str) -> str:
        return await self._claims.claim(derived_id("calibration", what, str(today)), body, self._clock())


async def _apart(work: Callable[[], T], *, gently: bool) -> T:
    """Do work in a thread, beside the event loop; ``gently``: rest for as long as it took, a second at most."""
    started = perf_counter()
    done = await asyncio.to_thread(work)
    if gently:
        await asyncio.sleep(min(perf_counter() - started, LONGEST_REST_S))
    return done
