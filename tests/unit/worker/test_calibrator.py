"""Calibrating: from the log, of whoever allows it, once a day by one process, beside everything else."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.domain.cohorts.cohort import Due
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.courses.zone import UTC, Zone
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.domain.forecast.calibration import UNKNOWN, Miss, calibration_from
from mastery_engine.domain.forecast.misses import misses_of
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.engine import Engine
from mastery_engine.errors import Unavailable
from mastery_engine.lab.simulate.classes import COHORT, past, pupils
from mastery_engine.model_files import shipped_forecast
from mastery_engine.responses.forecasts import CourseCalibration, course_calibration
from mastery_engine.worker import calibrator
from tests.support.calibrated import learned
from tests.support.composed import composed
from tests.support.samples import NOW, Clock

COURSE, OTHERS = CourseKey("default"), CourseKey("school-1")
ADMIN = Caller("tests", "admin")
DAYS = 35
MODEL, RULES = shipped_forecast(), Rules()


def a_class(size: int = 6, seed: int = 1) -> list[LearningEvent]:
    return past(pupils(size, seed), days=DAYS, seed=seed, until=NOW)


CLASS = a_class()
NAMES = sorted({event.student_id for event in CLASS})


def misses(events: Iterable[LearningEvent]) -> list[Miss]:
    """Each student's misses, without a calendar."""
    known = list(events)
    return [
        miss
        for name in {event.student_id for event in known}
        for miss in misses_of([one for one in known if one.student_id == name], MODEL, RULES, until=NOW)
    ]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(clock: Clock) -> Engine:
    return composed(clock=clock)


async def put(engine: Engine, events: Sequence[LearningEvent]) -> None:
    """The events in the log, and in the documents."""
    await engine.ingest._log.append(events)
    await engine.worker.run(until=await engine.progress.ends())


async def calibrated(engine: Engine, course_id: str | None = None, tenant: str | None = None) -> list[tuple[str, int]]:
    """The tenants that were calibrated, with their student-weeks."""
    found = await engine.calibrator.learn(await engine.calibrator.sample(tenant), course_id)
    return [(one.tenant, one.student_weeks) for one in found]


async def test_a_course_learns_from_what_the_log_holds(engine: Engine, clock: Clock) -> None:
    await put(engine, CLASS)
    expected = calibration_from(misses(CLASS), NOW, UTC)
    assert expected.student_weeks > 10
    assert await calibrated(engine) == [("default", expected.student_weeks)]
    assert await engine.calibrations.of(COURSE, clock()) == expected
    assert await calibrated(engine) == [("default", expected.student_weeks)], "twice is once"


async def test_repeats_in_the_log_count_once_and_the_first_is_the_one_that_counts(engine: Engine) -> None:
    await put(engine, CLASS)
    before = await engine.calibrator.learn(await engine.calibrator.sample())
    other = [msgspec.structs.replace(one, data=CLASS[0].data) for one in CLASS]
    await engine.ingest._log.append([*CLASS, *other])
    assert await engine.calibrator.learn(await engine.calibrator.sample()) == before


async def test_tenants_learn_apart(engine: Engine, clock: Clock) -> None:
    theirs = [msgspec.structs.replace(event, tenant="school-1") for event in a_class(3, 2)]
    await put(engine, [*CLASS, *theirs])
    ours, of_others = (calibration_from(misses(events), NOW, UTC).student_weeks for events in (CLASS, theirs))
    assert await calibrated(engine, tenant="school-1") == [("school-1", of_others)]
    assert await engine.calibrations.of(COURSE, clock()) == UNKNOWN
    assert await calibrated(engine) == [("default", ours), ("school-1", of_others)]
    assert await calibrated(engine, "no-such-course") == []
    assert await calibrated(engine, "default", "nobody") == []


async def test_whoever_allows_no_profiling_or_is_erased_is_not_in_it(engine: Engine) -> None:
    await put(engine, CLASS)
    unprofiled, erased, withdrawn = NAMES[:3]
    await engine.consents.change(StudentKey("default", unprofiled), None, False)
    await engine.privacy.erase(ADMIN, erased)
    await engine.consents.change(StudentKey("default", withdrawn), False, None)
    expected = calibration_from(misses(one for one in CLASS if one.student_id in NAMES[2:]), NOW, UTC)
    assert await calibrated(engine) == [("default", expected.student_weeks)], "what was allowed at its receipt counts"


async def test_the_calendar_of_a_class_is_known_to_its_forecasts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Miss] = []

    def seen(known: Iterable[Miss], as_of: Micros, zone: Zone) -> Any:
        found.extend(known)
        return calibration_from(found, as_of, zone)

    monkeypatch.setattr(calibrator, "calibration_from", seen)
    await put(engine, CLASS)
    due = day_of(NOW) - 10
    await engine.cohorts.put(ADMIN, COHORT, "Python", NAMES, [Due(due, "loops")])
    await calibrated(engine)
    assert found
    assert all(miss.has_calendar for miss in found)
    assert {miss.origin for miss in found if miss.due} == {
        miss.origin for miss in found if miss.origin < due <= miss.target
    }


async def test_a_student_whose_weeks_cannot_be_forecast_is_left_out(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(events: Sequence[LearningEvent], *given: Any, **more: Any) -> list[Miss]:
        if events[0].student_id == NAMES[0]:
            raise ZeroDivisionError
        return misses_of(events, *given, **more)

    monkeypatch.setattr(calibrator, "misses_of", failing)
    await put(engine, CLASS)
    expected = calibration_from(misses(one for one in CLASS if one.student_id != NAMES[0]), NOW, UTC)
    assert await calibrated(engine) == [("default", expected.student_weeks)]
    assert "are left out" in caplog.text
    assert NAMES[0] not in caplog.text.partition("Traceback")[0]


async def test_the_work_is_done_beside_the_loop_and_rests_as_long_as_it_worked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    rests: list[float] = []
    sleep = asyncio.sleep

    def seen(*given: Any, **more: Any) -> list[Miss]:
        threads.add(threading.get_ident())
        return misses_of(*given, **more)

    me = asyncio.current_task()

    async def rested(seconds: float) -> None:
        if asyncio.current_task() is me:  # other tasks of the engine rest as they do
            rests.append(seconds)
            seconds = 0
        await sleep(seconds)

    monkeypatch.setattr(calibrator, "misses_of", seen)
    await put(engine, CLASS)
    sampled = await engine.calibrator.sample()
    monkeypatch.setattr(calibrator.asyncio, "sleep", rested)
    done: list[float] = []
    await engine.calibrator.learn(sampled, gently=True, on_progress=done.append)
    assert threading.get_ident() not in threads
    assert sum(rest > 0 for rest in rests) == len(NAMES) + 1
    assert done == [len(NAMES)]


class Days:
    """Processes on the same stores and log that calibrate daily; ``began`` names those that did, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.began: list[int] = []
        self.fails = False
        self.never_ends: set[int] = set()
        self.student_weeks = 300
        stores, logs = memory_stores.open_stores(self.clock), memory_logs.open_logs()
        numbers = count()
        self._engines = [
            composed(stores, logs, self.clock, new_id=lambda: f"process-{next(numbers)}") for _ in range(3)
        ]
        for place, engine in enumerate(self._engines):
            monkeypatch.setattr(engine.calibrator, "sample", self._sample_of(place))
            monkeypatch.setattr(engine.calibrator, "learn", self._learn)
        monkeypatch.setattr(calibrator, "LOOK_EVERY_S", 0.001)
        self._running: list[asyncio.Task[None]] = []

    def _sample_of(self, place: int) -> Callable[..., Any]:
        async def sample(**_how: Any) -> int:
            self.began.append(place)
            if self.fails:
                raise Unavailable("The log is away.")
            while place in self.never_ends:
                await asyncio.sleep(0.001)
            return place

        return sample

    async def _learn(self, _sampled: int, **_how: Any) -> list[CourseCalibration]:
        return [course_calibration(COURSE, learned(NOW, self.student_weeks))]

    def start(self, place: int) -> None:
        self._running.append(asyncio.create_task(self._engines[place].calibrator.keep_running()))

    async def stop(self, place: int) -> None:
        self._running[place].cancel()
        await asyncio.wait([self._running[place]])

    async def stop_all(self) -> None:
        for place in range(len(self._running)):
            await self.stop(place)

    async def look(self) -> list[int]:
        """Who has begun since, once all have looked several times."""
        await asyncio.sleep(0.05)
        began, self.began = self.began, []
        return began


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Days:
    return Days(monkeypatch)


async def test_one_process_calibrates_each_day(days: Days) -> None:
    for place in range(3):
        days.start(place)
    (first,) = await days.look()
    days.clock.tick(13 * 60 * MINUTE)
    assert await days.look() == []
    days.clock.tick(DAY)
    assert len(await days.look()) == 1
    await days.stop(first)
    days.clock.tick(DAY)
    (next_one,) = await days.look()
    assert next_one != first
    await days.stop_all()


async def test_another_takes_over_from_one_that_died(days: Days) -> None:
    days.never_ends.add(0)
    days.start(0)
    assert await days.look() == [0]
    await days.stop(0)
    days.start(1)
    days.start(2)
    assert await days.look() == []
    days.clock.tick(calibrator.PATIENCE - SECOND)
    assert await days.look() == []
    days.clock.tick(SECOND)
    assert len(await days.look()) == 1
    days.clock.tick(60 * MINUTE)
    assert await days.look() == []
    await days.stop_all()


async def test_while_no_course_has_enough_weeks_it_is_done_again_by_the_same_process(days: Days) -> None:
    days.student_weeks = 120
    for place in range(3):
        days.start(place)
    (first,) = await days.look()
    days.clock.tick(calibrator.RETRY - 1)
    assert await days.look() == []
    days.student_weeks = 300
    days.clock.tick(1)
    assert await days.look() == [first]
    days.clock.tick(2 * calibrator.PATIENCE)
    assert await days.look() == []
    await days.stop_all()


async def test_a_process_that_starts_anew_goes_on_where_no_course_had_enough(days: Days) -> None:
    days.student_weeks = 0  # the log is empty yet
    days.start(0)
    assert await days.look() == [0]
    await days.stop(0)
    days.start(1)
    days.clock.tick(calibrator.PATIENCE)
    assert await days.look() == [1]
    days.student_weeks = 300
    days.clock.tick(calibrator.RETRY)
    assert await days.look() == [1]
    days.clock.tick(60 * MINUTE)
    assert await days.look() == []
    await days.stop_all()


async def test_it_tries_again_while_the_log_is_away(days: Days, caplog: pytest.LogCaptureFixture) -> None:
    days.fails = True
    days.start(0)
    assert len(await days.look()) > 1
    days.fails = False
    assert await days.look() in ([0], [0, 0])
    assert await days.look() == []
    assert "cannot run yet: The log is away." in caplog.text
    await days.stop_all()
