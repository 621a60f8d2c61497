"""What every backend that keeps documents of State and of profiles promises."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.ports.record_documents import RecordDocument, RecordDocumentKey, RecordDocumentStore
from tests.support.samples import NOW
from tests.support.stores import STORES, on

SCOPE, OTHER_SCOPE = b"s" * 16, b"o" * 16
ADA, BOB = b"a" * 16, b"b" * 16


@pytest.fixture(params=on("memory", "sqlite", "redis", "cluster"))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RecordDocumentStore]:
    async with STORES[request.param](tmp_path, request) as opened:
        assert opened.record_documents is not None
        yield opened.record_documents


def key(
    name: str = "größe 1", registration: str = "", scope: bytes = SCOPE, tenant: str = "default"
) -> RecordDocumentKey:
    return RecordDocumentKey(tenant, scope, name, registration)


def document(content: bytes = b"\x00\xff", person: bytes = ADA, updated: Micros = NOW) -> RecordDocument:
    return RecordDocument(content, "image/x; a=b", f"etag-{content.hex()}", updated, b'{"a":1}', person)


async def test_a_document_is_put_over_the_one_that_was_read_and_over_no_other(store: RecordDocumentStore) -> None:
    assert await store.load(key()) is None
    assert not await store.save(key(), document(), over="etag-0")
    assert await store.save(key(), document(), over=None)
    assert await store.load(key()) == document()
    assert not await store.save(key(), document(b"new"), over=None)
    assert await store.save(key(), document(b"new"), over=document().etag)
    assert await store.load(key()) == document(b"new")
    assert not await store.save(key(), None, over=document().etag)
    assert await store.save(key(), None, over=document(b"new").etag)
    assert await store.load(key()) is None
    assert await store.save(key(), None, over=None)


async def test_names_are_those_of_a_scope_a_registration_and_after_a_moment(store: RecordDocumentStore) -> None:
    kept = [
        key("b"),
        key("a", "r-1"),
        key("a"),
        key("c", "r-2"),
        key("x", scope=OTHER_SCOPE),
        key("y", tenant="school-1"),
    ]
    for number, one in enumerate(kept):
        assert await store.save(one, document(updated=NOW + number), over=None)

    async def names(registration: str | None = None, since: Micros | None = None, tenant: str = "default") -> list[str]:
        found = await store.names(tenant, SCOPE, registration=registration, since=since)
        return [f"{one.name}{one.registration}@{updated - NOW}" for one, updated in found]

    assert await names() == ["a@2", "ar-1@1", "b@0", "cr-2@3"]
    assert await names("") == ["a@2", "b@0"]
    assert await names("r-1") == ["ar-1@1"]
    assert await names(since=NOW + 1) == ["a@2", "cr-2@3"]
    assert await names(tenant="school-1") == ["y@5"]
    assert await store.remove_all("default", SCOPE, registration="r-2") == 1
    assert await store.remove_all("default", SCOPE, registration="r-9") == 0
    assert await store.remove_all("default", SCOPE, registration=None) == 3
    assert await names() == []
    assert await store.load(kept[4]) is not None
    assert await store.load(kept[5]) is not None


async def test_what_is_a_persons_is_found_and_ages(store: RecordDocumentStore) -> None:
    await store.save(key("old"), document(), over=None)
    await store.save(key("new"), document(updated=NOW + SECOND), over=None)
    await store.save(key("other", scope=OTHER_SCOPE), document(person=ADA), over=None)
    await store.save(key("bob"), document(person=BOB), over=None)
    await store.save(key("course"), document(person=b""), over=None)
    await store.save(key("there", tenant="school-1"), document(), over=None)
    assert {one.name for one, _ in await store.of_person("default", ADA)} == {"old", "new", "other"}
    assert await store.of_person("school-1", BOB) == []
    assert await store.purge(NOW + SECOND) == 4
    assert [one.name for one, _ in await store.of_person("default", ADA)] == ["new"]
    assert await store.load(key("course")) is not None, "it is about nobody"
