"""The calibrations that a process serves by: cached, taken up from others, and those that forecasts are made with."""

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory.calibrations import MemoryCalibrations
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.courses.zone import UTC
from mastery_engine.domain.forecast.calibration import UNKNOWN, Calibration, calibration_from
from mastery_engine.domain.forecast.misses import misses_of
from mastery_engine.domain.moments import MINUTE, SECOND, Micros
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import DocumentKey
from mastery_engine.engine import Engine
from mastery_engine.errors import Forbidden, Unavailable
from mastery_engine.lab.simulate.classes import past, pupils
from mastery_engine.model_files import shipped_forecast
from mastery_engine.services.calibrations import CACHED_FOR
from tests.support.calibrated import learned
from tests.support.composed import composed
from tests.support.samples import NOW, Clock, done, quiz
from tests.support.samples import logged as in_log

ADMIN, COURSE = Caller("tests", "admin"), CourseKey("default")
LEARNED = learned(NOW, 412, 0.81249)


class MovableStore(MemoryCalibrations):
    """A store that counts what is read of it, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.is_away = False

    async def get(self, course: CourseKey) -> Calibration | None:
        if self.is_away:
            raise Unavailable("The store is away.")
        self.reads += 1
        return await super().get(course)


def of_a_course(now: Micros) -> Calibration:
    """What a course learns from the weeks of three pupils, as if it had a hundred such."""
    model, rules = shipped_forecast(), Rules()
    events = past(pupils(3, 1), days=28, seed=1, until=now)
    misses = [
        miss
        for name in {event.student_id for event in events}
        for miss in misses_of([one for one in events if one.student_id == name], model, rules, until=now)
    ]
    return calibration_from(misses * 100, now, UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MovableStore:
    return MovableStore()


@pytest.fixture
def engine(clock: Clock, store: MovableStore) -> Engine:
    made = composed(clock=clock)
    made.calibrations._store = store
    return made


async def test_a_calibration_is_read_twice_a_minute_and_not_for_each_forecast(
    engine: Engine, store: MovableStore, clock: Clock
) -> None:
    assert await engine.calibrations.of(COURSE, clock()) == UNKNOWN
    await store.put(COURSE, LEARNED)  # by another process
    assert await engine.calibrations.of(COURSE, clock() + CACHED_FOR - 1) == UNKNOWN
    assert store.reads == 1
    assert CACHED_FOR < MINUTE
    assert await engine.calibrations.of(COURSE, clock() + CACHED_FOR) == LEARNED
    assert store.reads == 2


async def test_what_this_process_learns_holds_at_once(engine: Engine, store: MovableStore, clock: Clock) -> None:
    assert await engine.calibrations.of(COURSE, clock()) == UNKNOWN
    await engine.calibrations.put(COURSE, LEARNED, clock())
    assert await engine.calibrations.of(COURSE, clock()) == LEARNED
    assert await store.get(COURSE) == LEARNED


async def test_while_the_store_is_away_the_last_one_holds(engine: Engine, store: MovableStore, clock: Clock) -> None:
    store.is_away = True
    with pytest.raises(Unavailable):
        await engine.calibrations.of(COURSE, clock())
    store.is_away = False
    await store.put(COURSE, LEARNED)
    assert await engine.calibrations.of(COURSE, clock()) == LEARNED
    store.is_away = True
    assert await engine.calibrations.of(COURSE, clock() + MINUTE) == LEARNED


async def test_a_forecast_heeds_a_new_calibration_although_the_old_one_is_cached(engine: Engine, clock: Clock) -> None:
    events = [quiz(6, 10, "e1", at=clock()), done("loops", 6, 10, "e2", at=clock())]
    await engine.worker._folding.fold(in_log(events), clock())
    before = await engine.forecasts.next_days(ADMIN, "ada")
    assert before.calibration.calibrated is False
    await engine.calibrations.put(COURSE, of_a_course(clock()), clock())
    after = await engine.forecasts.next_days(ADMIN, "ada")
    assert after.calibration.calibrated is True
    assert (after.days[-1].lower, after.days[-1].upper) != (before.days[-1].lower, before.days[-1].upper)
    ahead = await engine.forecasts.trajectory(ADMIN, "ada")
    assert (ahead.forecast, ahead.calibration) == (after.days, after.calibration)
    (document,) = await engine.reader.load([DocumentKey("default", "ada")])
    assert document is not None
    course = await engine.courses.of(CourseKey("default"), clock())
    found = await engine.forecasts.of_documents(course, {"ada": document}, clock())
    assert round(found["ada"].predicted, 4) == after.predicted_score


async def test_a_tenant_is_served_by_its_own_calibration(engine: Engine, clock: Clock) -> None:
    await engine.calibrations.put(CourseKey("school-1"), LEARNED, clock())
    await engine.worker._folding.fold(in_log([quiz(6, 10, "e1", at=clock())]), clock())
    assert (await engine.forecasts.next_days(ADMIN, "ada")).calibration.student_weeks == 0
    assert await engine.calibrations.of_tenant(ADMIN) == []
    (listed,) = await engine.calibrations.of_tenant(Caller("tests", "admin", "school-1"))
    assert (listed.course_id, listed.calibrated, listed.coverage, listed.missing) == ("default", True, 0.8125, 0)
    with pytest.raises(Forbidden):
        await engine.calibrations.of_tenant(Caller("eva", "teacher"))


async def test_its_words_say_whether_and_how_often_it_held_or_what_is_missing(engine: Engine, clock: Clock) -> None:
    teacher = Caller("eva", "teacher")
    known = await engine.calibrations.of_course(teacher)
    assert "Not calibrated for this course yet: it has 0 of the 300 past weeks" in known.words
    assert known.as_of is None
    await engine.calibrations.put(COURSE, learned(clock(), 299, 0.7), clock())
    assert "it has 299 of the 300" in (await engine.calibrations.of_course(teacher)).words
    await engine.calibrations.put(COURSE, learned(clock() + SECOND, 4_123, 0.8049), clock())
    words = (await engine.calibrations.of_course(teacher)).words
    assert (
        words
        == "Calibrated for this course: the score came within the band in 80.5% of 4,123 past weeks of its students."
    )
