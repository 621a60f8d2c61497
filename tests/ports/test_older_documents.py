"""A document that an engine stored which knew no courses is the default course's, in every store."""

import sqlite3
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from mastery_engine.backends.dapr.client import Write
from mastery_engine.backends.dapr.index import SHARDS, DaprIndex
from mastery_engine.backends.sqlite.migrations import MIGRATIONS
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.results import ThresholdReached, Updated, result_id
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import pack_ids, unpack
from mastery_engine.domain.transition import apply
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.documents import DocumentChange
from tests.support.older_documents import BEFORE_COURSES
from tests.support.samples import NOW, logged, quiz
from tests.support.stores import ADA, ADAS, STORES, cold_ids, everyone, on, read

VERSION, COLD = 7, {20_000: b"x" * 8}
RUST = ADAS._replace(course_id="rust")


def in_sqlite(home: Path) -> None:
    """A file of the engine before, with its schema."""
    with sqlite3.connect(home / "store.db", isolation_level=None) as older:
        for step in MIGRATIONS[:4]:
            assert isinstance(step, str)
            older.executescript(step)
        older.execute("PRAGMA user_version = 4")
        older.execute("INSERT INTO documents VALUES ('default', 'ada', ?, ?)", (VERSION, BEFORE_COURSES))
        older.execute("INSERT INTO cold_ids VALUES ('default', 'ada', ?)", (pack_ids(COLD),))
    older.close()


async def in_redis(stores: Stores) -> None:
    documents: Any = stores.documents
    await documents._client.set("mastery:{default:ada}:d", VERSION.to_bytes(8, "big") + BEFORE_COURSES)
    await documents._client.set("mastery:{default:ada}:c", pack_ids(COLD))


async def in_dapr(stores: Stores) -> None:
    documents: Any = stores.documents
    record = {"version": VERSION, "body": b64encode(BEFORE_COURSES).decode(), "cold": "c:default:ada:1", "writes": []}
    cold = b64encode(pack_ids(COLD)).decode()
    writes = [Write("d:default:ada", record, None, None), Write("c:default:ada:1", cold, None, None)]
    assert await documents._state.write(writes)
    await DaprIndex(documents._state, "students", shards=SHARDS).add(['["default","ada"]'])


PUT: dict[str, Callable[[Stores], Awaitable[None]]] = {
    "redis": in_redis,
    "sentinel": in_redis,
    "cluster": in_redis,
    "dapr": in_dapr,
    "daprd": in_dapr,
}


def test_all_stores_that_outlive_a_process_are_here() -> None:
    assert STORES.keys() - PUT.keys() == {"memory", "sqlite"}


@pytest.mark.parametrize("name", on("sqlite", *PUT))
async def test_a_document_of_an_engine_without_courses_is_the_default_courses(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name == "sqlite":
        in_sqlite(tmp_path)
    async with STORES[name](tmp_path, request) as stores:
        if name in PUT:
            await PUT[name](stores)
        documents, older = stores.documents, unpack(BEFORE_COURSES)
        assert await everyone(documents) == [ADAS]
        assert await read(documents) == (VERSION, older)
        assert await cold_ids(documents) == COLD
        (courses,) = await documents.of_students([ADA])
        assert {course_id: held.version for course_id, held in courses.items()} == {"default": VERSION}
        newer = apply(older, logged([quiz(9, 10, "new")], first=20), NOW, Rules()).student
        assert (
            await documents.commit([DocumentChange(RUST, 0, newer), DocumentChange(ADAS, VERSION, newer)]) == [True] * 2
        )
        assert await read(documents) == (VERSION + 1, newer)
        assert sorted(await everyone(documents)) == [ADAS, RUST]
        assert await documents.erase(ADA) == 3
        assert await everyone(documents) == []


def test_what_it_says_is_what_it_said() -> None:
    older = unpack(BEFORE_COURSES)
    score = mastery_score(older.evidence, NOW, Rules())
    assert score.components == pytest.approx((0.8, 0.7368653916, 0.8, 0.7849483739), abs=1e-9)
    assert (score.level, older.cohorts) == ("proficient", ("py-101",))
    updated, reached, struggle = [pending.result for pending in older.outbox]
    assert isinstance(updated, Updated)
    assert isinstance(reached, ThresholdReached)
    assert {result.course_id for result in (updated, reached, struggle)} == {"default"}
    assert result_id(updated) == "ab039cb9-f136-803e-ad64-531bfddebdd3"  # as that engine sent it
