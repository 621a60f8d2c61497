"""What the doors to other services keep about a student is in the export, and goes with an erasure."""

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.errors import NotFound
from mastery_engine.ports.deliveries import Delivery
from mastery_engine.ports.registry import RegistryWrite
from tests.support.composed import composed
from tests.support.samples import NOW, Clock
from tests.support.stores import ADA, BOB

ADMIN = Caller("admin-1", "admin", "default")


async def test_deliveries_and_records_are_exported_and_erased() -> None:
    stores = memory_stores.open_stores(Clock())
    engine = composed(stores)
    for key in (ADA, BOB):
        said = {"score": 50, "for": key.student_id}
        packed, text = msgspec.msgpack.encode(said), msgspec.json.encode(said)
        await stores.registry.write("lti-grades", [RegistryWrite(f"default/{key.student_id}", packed, owner=key)], NOW)
        await stores.registry.write("badges", [RegistryWrite(f"default/{key.student_id}", text, owner=key)], NOW)
        await stores.deliveries.enqueue([Delivery("webhook/default/1", key.student_id, "lane", key, NOW, NOW, text)])
    export = await engine.privacy.export(ADMIN, "ada")
    assert [(entry.table, entry.content) for entry in export.entries] == [
        ("badges", {"score": 50, "for": "ada"}),
        ("lti-grades", {"score": 50, "for": "ada"}),
    ]
    (held,) = export.deliveries
    assert (held.sink, held.state, held.content) == ("webhook/default/1", "waiting", '{"score":50,"for":"ada"}')
    assert (await engine.privacy.erase(ADMIN, "ada")).removed_from_store == 3
    with pytest.raises(NotFound):
        await engine.privacy.export(ADMIN, "ada")
    assert await stores.deliveries.of_student(ADA) == []
    assert await stores.registry.owned(ADA, NOW) == []
    assert len((await engine.privacy.export(ADMIN, "bob")).entries) == 2
