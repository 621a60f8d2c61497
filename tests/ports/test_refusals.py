"""What every backend promises of refusals."""

from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from tests.support.samples import NOW
from tests.support.stores import ADA, BOB, EVE, refusal, stores_fixture

stores = stores_fixture()


async def test_a_refusal_is_found_by_its_event_the_last_one_counting(stores: Stores) -> None:
    refusals = stores.refusals
    assert await refusals.find(ADA, "e-1") is None
    await refusals.put([])
    await refusals.put([refusal(), refusal("e-2"), refusal(key=BOB), refusal("E-1")])
    await refusals.put([refusal(message="größer", at=NOW + 1)])
    assert await refusals.find(ADA, "e-1") == refusal(message="größer", at=NOW + 1)
    assert await refusals.find(ADA, "E-1") == refusal("E-1")
    assert await refusals.find(BOB, "e-1") == refusal(key=BOB)
    assert await refusals.find(StudentKey("school-1", "ada"), "e-1") is None
    assert await refusals.find(ADA, "e-3") is None


async def test_a_refusal_is_of_a_course(stores: Stores) -> None:
    """Since an event's id belongs to its course; where none is asked of, the newest of any is told."""
    refusals = stores.refusals
    art, physics = refusal(course_id="art/ß 1", at=NOW + 3), refusal(course_id="physics", at=NOW + 1)
    await refusals.put([art, physics, refusal("e-2", course_id="physics"), refusal(key=BOB)])
    assert await refusals.find(ADA, "e-1", course_id="default") is None
    assert await refusals.find(ADA, "e-1", course_id="art/ß 1") == art
    assert await refusals.find(ADA, "e-1", course_id="physics") == physics
    assert await refusals.find(ADA, "e-1", course_id="music") is None
    assert await refusals.find(ADA, "e-1") == art
    assert await refusals.find(ADA, "e-2") == refusal("e-2", course_id="physics")
    await refusals.put([refusal(at=NOW + 5)])
    assert await refusals.find(ADA, "e-1") == await refusals.find(ADA, "e-1", course_id="default")
    assert await refusals.find(ADA, "e-1", course_id="physics") == physics
    assert [one.course_id for one in await refusals.of(ADA)] == ["physics", "physics", "art/ß 1", "default"]
    assert await refusals.purge(NOW + 3) == 3
    assert await refusals.find(ADA, "e-1", course_id="physics") is None
    assert await refusals.erase(ADA) == 2
    assert [await refusals.find(ADA, one) for one in ("e-1", "e-2")] == [None, None]


async def test_a_students_refusals_come_oldest_first(stores: Stores) -> None:
    refusals = stores.refusals
    assert await refusals.of(ADA) == []
    written = [refusal(f"e-{number}", at=NOW + at, message='"größe"\n') for number, at in enumerate((5, 1, 9, 3))]
    await refusals.put([*written, refusal(key=BOB), refusal(key=StudentKey("school-1", "ada"))])
    assert await refusals.of(ADA) == sorted(written, key=lambda written: written.at)
    assert await refusals.of(BOB) == [refusal(key=BOB)]
    assert await refusals.of(EVE) == []


async def test_an_erasure_takes_one_students_refusals(stores: Stores) -> None:
    refusals, elsewhere = stores.refusals, StudentKey("school-1", "ada")
    await refusals.put([refusal("e-1"), refusal("e-2"), refusal(key=BOB), refusal(key=elsewhere)])
    assert await refusals.erase(ADA) == 2
    assert await refusals.erase(ADA) == 0
    assert await refusals.of(ADA) == []
    assert await refusals.find(BOB, "e-1") == refusal(key=BOB)
    assert await refusals.find(elsewhere, "e-1") == refusal(key=elsewhere)


async def test_a_purge_takes_those_from_before_a_moment(stores: Stores) -> None:
    refusals = stores.refusals
    await refusals.put([refusal(f"e{number}", at=NOW + number) for number in (-2, -1, 0, 1)])
    await refusals.put([refusal(key=BOB, at=NOW - 1)])
    assert await refusals.purge(NOW) == 3
    assert [kept.at - NOW for kept in await refusals.of(ADA)] == [0, 1]
    assert await refusals.of(BOB) == []
    assert await refusals.find(ADA, "e-1") is None
    assert await refusals.purge(NOW) == 0
