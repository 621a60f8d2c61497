"""What every backend promises of platforms' credentials."""

from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.credentials import Credential
from tests.support.samples import NOW
from tests.support.stores import ADA, clear, erase, purge, put, stores_fixture

stores = stores_fixture()

MOODLE = Credential("5f0c", bytes(range(32)), "Moodle", "default", ("xapi",), "course-v1:edX+Español/2026", NOW)
CANVAS = Credential("8a1e", b"\xff" * 32, "Canvas", "school-1", ("caliper", "canvas"), None, NOW)
BACKUP = Credential("0b2d", b"\x00" * 32, "Moodle", "default", ("xapi", "caliper", "canvas"), None, NOW + 1)


async def test_a_credential_is_found_by_its_key_until_it_is_removed(stores: Stores) -> None:
    credentials = stores.credentials
    assert await credentials.find("5f0c") is None
    await credentials.put(MOODLE)
    await credentials.put(CANVAS)
    assert [await credentials.find(key) for key in ("5f0c", "8a1e", "5f0", "")] == [MOODLE, CANVAS, None, None]
    assert await credentials.remove("5f0c")
    assert not await credentials.remove("5f0c")
    assert [await credentials.find(key) for key in ("5f0c", "8a1e")] == [None, CANVAS]


async def test_all_are_listed_by_tenant_and_name(stores: Stores) -> None:
    credentials = stores.credentials
    assert await credentials.all() == []
    for one in (CANVAS, MOODLE, BACKUP):
        await credentials.put(one)
    assert await credentials.all() == [BACKUP, MOODLE, CANVAS]
    await credentials.remove("0b2d")
    assert await credentials.all() == [MOODLE, CANVAS]


async def test_no_erasure_clearing_or_purge_takes_it(stores: Stores) -> None:
    await put(stores.documents, ADA)
    await stores.credentials.put(MOODLE)
    for key in (ADA, StudentKey("default", "5f0c")):
        await erase(stores, key)
    await clear(stores)
    await purge(stores, NOW + 1)
    assert await stores.credentials.all() == [MOODLE]
