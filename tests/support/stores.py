"""The stores of every backend, for the suites of their ports, and what these suites put in and read out."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.backends.redis import stores as redis_stores
from mastery_engine.backends.sqlite import stores as sqlite_stores
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.domain.cohorts.cohort import Due
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.moments import Day, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import NOBODY, DocumentKey, Student, StudentKey
from mastery_engine.domain.transition import apply
from mastery_engine.ports.audit_log import AuditFilter, AuditRecord
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.cohorts import CohortStore, Roster
from mastery_engine.ports.documents import DocumentChange, DocumentStore
from mastery_engine.ports.jobs import BatchJob
from mastery_engine.ports.refusals import Refusal
from scripts.servers.redis import Redis, RedisCluster, RedisSentinel
from tests.support.dapr_stores import dapr, daprd
from tests.support.samples import NOW, Clock, done, event, given, helped, logged, quiz

RETENTION_DAYS = 90
ADA, BOB, EVE = (StudentKey("default", name) for name in ("ada", "bob", "eve"))
ADAS, BOBS, EVES = (DocumentKey(*student) for student in (ADA, BOB, EVE))  # their documents in the default course


@asynccontextmanager
async def memory(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    stores = memory_stores.open_stores(Clock())
    yield stores
    await stores.connection.close()


@asynccontextmanager
async def sqlite(home: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    stores = sqlite_stores.open_stores(Database(home / "store.db"), Clock())
    yield stores
    await stores.connection.close()


@asynccontextmanager
async def on_redis(url: str, servers: Iterable[Redis]) -> AsyncIterator[Stores]:
    """Stores on emptied servers."""
    for server in servers:
        with server.client() as client:
            client.flushall()
    stores = redis_stores.open_stores(url, retention_days=RETENTION_DAYS, now=monotonic)
    yield stores
    await stores.connection.close()


def redis(home: Path, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Stores]:
    server: Redis = request.getfixturevalue("redis_server")
    return on_redis(server.url, [server])


def sentinel(home: Path, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Stores]:
    group: RedisSentinel = request.getfixturevalue("redis_sentinel")
    return on_redis(group.url, [group.master()])


def cluster(home: Path, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Stores]:
    group: RedisCluster = request.getfixturevalue("redis_cluster")
    return on_redis(group.url, group.nodes)


Opener = Callable[[Path, pytest.FixtureRequest], AbstractAsyncContextManager[Stores]]

# By the name of the backend's folder, and what else it may run on; a test holds this against the folders there are.
STORES: dict[str, Opener] = {
    "memory": memory,
    "sqlite": sqlite,
    "redis": redis,
    "sentinel": sentinel,
    "cluster": cluster,
    "dapr": dapr,
    "daprd": daprd,
}
_REDIS = [pytest.mark.xdist_group("kafka")]
MARKS = {
    "redis": _REDIS,
    "sentinel": _REDIS,
    "cluster": _REDIS,
    # The first run of all builds the sidecar.
    "daprd": [pytest.mark.xdist_group("redis"), pytest.mark.timeout(2_400)],
}


def on(*backends: str) -> list[Any]:
    """These backends as parameters, with their marks."""
    return [pytest.param(name, marks=MARKS.get(name, ())) for name in backends]


def stores_fixture() -> Any:
    """A fixture that opens the stores of each backend in turn: a suite says ``stores = stores_fixture()``."""

    @pytest.fixture(params=on(*STORES))
    async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
        async with STORES[request.param](tmp_path, request) as opened:
            yield opened

    return stores


# ---- documents


@cache
def student(number: int = 0) -> Student:
    """A document that differs by the number."""
    tried = {"total_questions": 4, "correct_answers": 2.5, "attempt_id": "größe"}
    events = [quiz(number % 10, 10, f"quiz-{number}"), done("größe", 1, 2, "done"), given("set", quality=0.5)]
    events.append(event("quiz", tried, "tried"))
    return apply(NOBODY, logged([*events, *[helped(f"help-{n}") for n in range(number % 3)]]), NOW, Rules()).student


async def put(
    documents: DocumentStore, key: StudentKey | DocumentKey, version: int = 0, number: int = 0, **more: dict[int, bytes]
) -> bool:
    (won,) = await documents.commit([DocumentChange(DocumentKey(*key), version, student(number), more.get("cold"))])
    return won


async def read(documents: DocumentStore, key: StudentKey | DocumentKey = ADA) -> tuple[int, Student] | None:
    (stored,) = await documents.load([DocumentKey(*key)])
    return None if stored is None else (stored.version, stored.student)


async def cold_ids(documents: DocumentStore, key: StudentKey | DocumentKey = ADA) -> dict[int, bytes]:
    return dict((await documents.load_cold([DocumentKey(*key)]))[0])


async def everyone(documents: DocumentStore) -> list[DocumentKey]:
    return [key async for key in documents.all_keys()]


# ---- the other ports


async def roster(cohorts: CohortStore, cohort_id: str = "py", *, tenant: str = "default", since: Day = 0) -> Roster:
    return await cohorts.roster(tenant, cohort_id, since=since)


async def calendars_of(
    cohorts: CohortStore, key: StudentKey | DocumentKey, named: Sequence[str], *, since: Day
) -> Mapping[str, Sequence[Due]]:
    """The calendars that count for one student, in ``default`` where no course is given."""
    (found,) = await cohorts.calendars({DocumentKey(*key): named}, since=since)
    return found


def refusal(
    event_id: str = "e-1",
    key: StudentKey = ADA,
    message: str = "too old",
    at: int = NOW,
    course_id: str = DEFAULT_COURSE,
) -> Refusal:
    return Refusal(key, event_id, "VALIDATION_ERROR", message, at, course_id)


def record(number: int = 0, tenant: str = "default", at: int = NOW, student_id: str | None = "ada") -> AuditRecord:
    return AuditRecord(at, tenant, f"user-{number}", "admin", "query", student_id, number % 2 == 0, "::1", "größe")


async def newest(stores: Stores, tenant: str = "default", *, limit: int = 9) -> list[AuditRecord]:
    """The newest audit records of a tenant, newest first."""
    return (await stores.audit_log.page(tenant, AuditFilter(), limit=limit)).records


def job(batch_id: str = "b-1", created: int = NOW, tenant: str = "default", answer: bytes | None = None) -> BatchJob:
    return BatchJob(tenant, batch_id, "user-1", "high", created, b'{"role":"admin"}', b'{"rows":[]}', answer)


# ---- what is done to all of them, in the order in which the services do it


async def clear(stores: Stores) -> None:
    """Remove what a replay fills again."""
    await stores.checkpoints.clear()
    await stores.documents.clear()
    await stores.cohorts.clear_joins()


async def erase(stores: Stores, key: StudentKey) -> int:
    """Remove what is a student's, batches as a whole; how much there was."""
    removed = await stores.documents.erase(key) + await stores.refusals.erase(key)
    removed += await stores.deliveries.erase(key) + await stores.registry.erase(key)
    return removed + await stores.jobs.erase(key, lambda _: None)


async def purge(stores: Stores, before: Micros) -> int:
    """Remove what is older than a moment; how many records there were."""
    await stores.cohorts.purge(day_of(before))
    return sum([await port.purge(before) for port in (stores.audit_log, stores.refusals, stores.jobs)])
