"""What one replica has worked out another does not work out again: forecasts and standings, under their versions."""

from collections.abc import AsyncIterator, Sequence
from time import monotonic
from typing import Any

import msgspec
import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.backends.redis import stores as redis_stores
from mastery_engine.domain.cohorts.cohort import Due
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.forecast.calibration import UNKNOWN
from mastery_engine.domain.moments import DAY, SECOND, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import DocumentKey
from mastery_engine.engine import Engine
from mastery_engine.ports.backend import Logs, Stores
from mastery_engine.ports.documents import DocumentStore, StoredDocument
from mastery_engine.ports.result_cache import ResultKey
from mastery_engine.responses.forecasts import prediction
from mastery_engine.services import forecasts, member_standings
from mastery_engine.services.member_standings import KIND
from scripts.servers.redis import Redis
from tests.support.composed import composed
from tests.support.samples import Clock, logged, quiz

ADMIN = Caller("tests", "admin")
CLASS = "py-101"


class CountedDocuments:
    """The documents of one replica; ``loaded`` counts those that it read."""

    def __init__(self, inner: DocumentStore) -> None:
        self._inner = inner
        self.loaded = 0

    async def load(self, keys: Sequence[DocumentKey]) -> list[StoredDocument | None]:
        self.loaded += len(keys)
        return await self._inner.load(keys)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Replicas:
    """Two engines on the same stores and log."""

    def __init__(self, stores: tuple[Stores, Stores], logs: Logs, clock: Clock) -> None:
        self.clock = clock
        self.documents = [CountedDocuments(one.documents) for one in stores]
        self.engines = [
            composed(msgspec.structs.replace(one, documents=documents), logs, clock)
            for one, documents in zip(stores, self.documents, strict=True)
        ]

    async def fold(self, student_id: str, correct: int, event_id: str) -> None:
        event = quiz(correct, 10, event_id, student_id=student_id, metadata={"cohort_id": CLASS}, at=self.clock())
        first = self.engines[0]
        await first.worker._folding.fold(logged([event], first=self.clock.now % 1_000_000), self.clock())


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.xdist_group("kafka"))])
async def replicas(request: pytest.FixtureRequest) -> AsyncIterator[Replicas]:
    clock = Clock()
    if request.param == "memory":
        shared = memory_stores.open_stores(clock)
        yield Replicas((shared, shared), memory_logs.open_logs(), clock)
        return
    server: Redis = request.getfixturevalue("redis_server")
    with server.client() as client:
        client.flushall()
    stores = [redis_stores.open_stores(server.url, retention_days=90, now=monotonic) for _ in range(2)]
    replicas = Replicas((stores[0], stores[1]), memory_logs.open_logs(), clock)
    for engine in replicas.engines:
        await engine.admission.with_cohorts(ADMIN)
    yield replicas
    for opened in stores:
        await opened.reader.close()
        await opened.connection.close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every forecast that is made, and every standing that is worked out."""
    made: list[str] = []
    forecast, standing = forecasts.forecast, member_standings.standing

    def counted_forecast(*given: Any) -> Any:
        made.append("forecast")
        return forecast(*given)

    def counted_standing(student_id: str, *given: Any, **how: Any) -> Any:
        made.append(student_id)
        return standing(student_id, *given, **how)

    monkeypatch.setattr(forecasts, "forecast", counted_forecast)
    monkeypatch.setattr(member_standings, "standing", counted_standing)
    return made


async def fresh(engine: Engine, student_id: str, updated: int) -> None:
    """Until the replica's reader has the document of a moment: it may be a second behind."""
    deadline = monotonic() + 5
    key = DocumentKey("default", student_id)
    while [stored and stored.student.updated for stored in await engine.reader.load([key])] != [updated]:
        assert monotonic() < deadline


async def test_a_forecast_is_made_once_for_all_replicas(replicas: Replicas, made: list[str]) -> None:
    ours, theirs = replicas.engines
    await replicas.fold("ada", 5, "e1")
    first = await ours.forecasts.next_days(ADMIN, "ada")
    assert await theirs.forecasts.next_days(ADMIN, "ada") == first
    assert made == ["forecast"]
    await theirs.forecasts.next_days(ADMIN, "ada", 14)
    assert made == ["forecast"] * 2


async def test_forecasts_of_a_class_are_those_of_each_student_and_made_once(
    replicas: Replicas, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecasts, "AT_ONCE", 3)  # so that a class of seven takes several rounds
    ours, theirs = replicas.engines
    names = [f"s{number}" for number in range(7)]
    for number, name in enumerate(names):
        await replicas.fold(name, number, f"e{number}")
    today = day_of(replicas.clock())
    await ours.cohorts.put(ADMIN, CLASS, "Python", names, [Due(today + 2, "loops")])
    one_alone = await theirs.forecasts.next_days(ADMIN, "s5")
    stored = await ours.reader.load([DocumentKey("default", name) for name in names])
    documents = {name: document for name, document in zip(names, stored, strict=True) if document is not None}
    course = await ours.courses.of(CourseKey("default"), replicas.clock())
    found = await ours.forecasts.of_documents(course, documents, replicas.clock())
    assert list(found) == names
    assert len(made) == 7
    assert prediction("s5", found["s5"], UNKNOWN, Rules()) == one_alone
    for name in names:
        assert await theirs.forecasts.next_days(ADMIN, name) == prediction(name, found[name], UNKNOWN, Rules())
    assert len(made) == 7
    assert await ours.forecasts.of_documents(course, {}, replicas.clock()) == {}


async def test_another_document_calendar_or_day_is_another_forecast(replicas: Replicas, made: list[str]) -> None:
    ours, theirs = replicas.engines
    await replicas.fold("ada", 5, "e1")
    before = await ours.forecasts.next_days(ADMIN, "ada")
    replicas.clock.tick(1)
    await replicas.fold("ada", 10, "e2")
    await fresh(theirs, "ada", replicas.clock())
    after = await theirs.forecasts.next_days(ADMIN, "ada")
    assert after.current_score > before.current_score
    today = day_of(replicas.clock())
    await ours.cohorts.put(ADMIN, CLASS, "Python", ["ada"], [Due(today + 2, "loops")])
    assert await theirs.forecasts.next_days(ADMIN, "ada") != after
    assert len(made) == 3
    replicas.clock.now += DAY
    await ours.forecasts.next_days(ADMIN, "ada")
    assert len(made) == 4


async def test_a_cohort_is_worked_out_once_for_all_replicas(replicas: Replicas, made: list[str]) -> None:
    ours, theirs = replicas.engines
    for number in range(8):
        await replicas.fold(f"s{number}", number, f"e{number}")
    figures = await ours.standings.cohort(ADMIN, CLASS)
    assert sorted(made) == ["forecast"] * 8 + [f"s{number}" for number in range(8)]
    before = replicas.documents[1].loaded
    assert await theirs.standings.cohort(ADMIN, CLASS) == figures
    assert (await theirs.standings.compare(ADMIN, "s3", CLASS)).rank == 5
    assert replicas.documents[1].loaded == before
    assert len(made) == 16
    replicas.clock.tick(1)
    await replicas.fold("s0", 10, "later")
    assert (await theirs.standings.compare(ADMIN, "s0", CLASS)).rank < 8
    assert made[16:] == ["s0"], "who is compared needs no forecast"


async def test_whoever_is_erased_is_in_no_cached_result(replicas: Replicas) -> None:
    ours, theirs = replicas.engines
    for number in range(6):
        await replicas.fold(f"s{number}", number, f"e{number}")
    await ours.forecasts.next_days(ADMIN, "s1")
    assert (await ours.standings.cohort(ADMIN, CLASS)).size == 6
    replicas.clock.now += SECOND
    await ours.privacy.erase(ADMIN, "s1")
    assert (await theirs.standings.cohort(ADMIN, CLASS)).size == 5
    members = ours.reports._members
    now = replicas.clock()
    version = member_standings._version(await ours.courses.of(CourseKey("default"), now), now)
    cached = await members._results.get(ResultKey("default", CLASS, KIND), version)
    assert cached is not None, "the other replica has shared what it worked out since"
    assert b"s1" not in cached
    assert b"s2" in cached
