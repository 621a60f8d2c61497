"""What every backend promises of the courses' calibrations."""

import pytest

from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.forecast.calibration import Calibration
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from tests.support.calibrated import learned
from tests.support.samples import NOW
from tests.support.stores import ADA, clear, erase, on, purge, put, stores_fixture

stores = stores_fixture()

PYTHON, SPANISH = CourseKey("default"), CourseKey("default", "course-v1:edX+Español/2026 100%")
OTHERS = CourseKey("school-1")


async def test_a_calibration_is_its_courses_alone(stores: Stores) -> None:
    calibrations = stores.calibrations
    assert await calibrations.get(PYTHON) is None
    assert await calibrations.of_tenant("default") == {}
    for course, weeks in ((SPANISH, 20), (PYTHON, 310), (OTHERS, 4_000)):
        await calibrations.put(course, learned(NOW, weeks))
    assert await calibrations.get(PYTHON) == learned(NOW, 310)
    assert await calibrations.get(SPANISH) == learned(NOW, 20)
    assert await calibrations.get(CourseKey("default", "physics")) is None
    found = await calibrations.of_tenant("default")
    assert list(found.items()) == [(SPANISH.course_id, learned(NOW, 20)), (PYTHON.course_id, learned(NOW, 310))]
    assert await calibrations.of_tenant("school-1") == {"default": learned(NOW, 4_000)}


async def test_a_newer_one_takes_the_place_of_the_last(stores: Stores) -> None:
    for weeks in (310, 320, 300):
        await stores.calibrations.put(PYTHON, learned(NOW + weeks, weeks))
    assert await stores.calibrations.get(PYTHON) == learned(NOW + 300, 300)
    assert await stores.calibrations.of_tenant("default") == {"default": learned(NOW + 300, 300)}


async def test_no_erasure_clearing_or_purge_takes_it(stores: Stores) -> None:
    await put(stores.documents, ADA)
    await put(stores.documents, StudentKey("default", "default"))
    await stores.calibrations.put(PYTHON, learned(NOW, 310))
    for key in (ADA, StudentKey("default", "default")):
        await erase(stores, key)
        await stores.results.drop(*key)
    await clear(stores)
    await purge(stores, NOW + 1)
    assert await stores.calibrations.get(PYTHON) == learned(NOW, 310)
    assert await stores.calibrations.of_tenant("default") == {"default": learned(NOW, 310)}


@pytest.mark.parametrize("stores", on("sqlite", "redis", "dapr"), indirect=True)
async def test_one_of_another_format_is_not_found(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(Calibration, "pack", lambda _: b"\xff of a newer engine")
        await stores.calibrations.put(PYTHON, learned(NOW, 310))
    await stores.calibrations.put(SPANISH, learned(NOW, 20))
    assert await stores.calibrations.get(PYTHON) is None
    assert await stores.calibrations.of_tenant("default") == {SPANISH.course_id: learned(NOW, 20)}
