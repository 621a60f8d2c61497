"""A topic full of what cannot be read stops the worker, for good, until an operator has looked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.backends.memory.event_log import MemoryEventLog
from mastery_engine.backends.sqlite import logs as sqlite_logs
from mastery_engine.backends.sqlite import stores as sqlite_stores
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.event_log import SqliteEventLog
from mastery_engine.domain.moments import DAY
from mastery_engine.engine import Engine
from mastery_engine.errors import Flooded
from mastery_engine.ports.backend import Logs, Stores
from mastery_engine.ports.event_log import EventLog
from mastery_engine.tasks import beside
from mastery_engine.worker.flood import MOST
from tests.support.calls import event, serving
from tests.support.composed import composed
from tests.support.samples import NOW, QUIZ, Clock, envelope, raw

TOO_OLD = raw(envelope("quiz", QUIZ, "old", at=NOW - 200 * DAY))


class Restarted:
    """Stores and logs that processes come and go on."""

    def __init__(self, stores: Stores, logs: Logs, clock: Clock) -> None:
        self.stores, self.logs, self.clock = stores, logs, clock

    def start(self) -> Engine:
        """A process begins."""
        return composed(self.stores, self.logs, self.clock)

    async def empty(self) -> None:
        await self.stores.checkpoints.clear()
        await self.stores.documents.clear()
        await self.stores.cohorts.clear_joins()

    async def students(self) -> int:
        return len([key async for key in self.stores.documents.all_keys()])


def memory(home: Path) -> Restarted:
    clock = Clock()
    return Restarted(memory_stores.open_stores(clock), memory_logs.open_logs(), clock)


def sqlite(home: Path) -> Restarted:
    database, clock = Database(home / "one.db"), Clock()
    return Restarted(sqlite_stores.open_stores(database, clock), sqlite_logs.open_logs(database), clock)


@pytest.fixture(params=[memory, sqlite])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Restarted]:
    opened: Callable[[Path], Restarted] = request.param
    service = opened(tmp_path)
    yield service
    await service.logs.connection.close()
    await service.stores.connection.close()


async def put(log: EventLog, values: list[bytes], start: int = 0) -> None:
    """Records as some other program might write them."""
    if isinstance(log, MemoryEventLog):
        for place, value in enumerate(values):
            log.append_record(NOW, "default", b"ada", value, f"{start}-{place}")
    elif isinstance(log, SqliteEventLog):
        rows = [(NOW, "default", f"{start}-{place}", b"ada", value) for place, value in enumerate(values)]
        statement = "INSERT INTO requests (received, tenant, event_id, key, value) VALUES (?, ?, ?, ?, ?)"
        await log.database.put(statement, rows)


async def work(service: Restarted, *, after_flood: bool = False) -> None:
    """All that the log holds, by a worker that has just been started."""
    async with asyncio.timeout(20):
        await service.start().worker.run(until=await service.logs.events.ends(), after_flood=after_flood)


async def letters(service: Restarted) -> int:
    return len(await service.logs.dead_letters.page(limit=100_000))


async def test_a_little_poison_is_dead_lettered_and_the_work_goes_on(service: Restarted) -> None:
    await put(service.logs.events, [b"{"] * (MOST - 1) + [raw(envelope("quiz", QUIZ))])
    await work(service)
    assert await letters(service) == MOST - 1
    assert await service.students() == 1


async def test_a_flood_stops_the_worker_before_its_batch_is_dead_lettered_or_committed(service: Restarted) -> None:
    worker = service.start().worker
    await put(service.logs.events, [b"{"] * 300)
    await worker.run(until=await service.logs.events.ends())
    before = await service.logs.events.committed()
    await put(service.logs.events, [raw(envelope("quiz", QUIZ, "good")), *[b"no event"] * 300], 1)
    with pytest.raises(Flooded, match=r"partition 0.*worker --after-flood"):
        await worker.run(until=await service.logs.events.ends())
    assert await letters(service) == 300
    assert await service.logs.events.committed() == before
    assert await service.students() == 0


async def test_a_restart_alone_does_not_clear_a_flood(service: Restarted) -> None:
    await put(service.logs.events, [b"{"] * MOST)
    with pytest.raises(Flooded):
        await work(service)
    for _ in range(2):
        with pytest.raises(Flooded, match="--after-flood"):
            await work(service)
    assert await letters(service) == 0


async def test_after_flood_dead_letters_all_that_the_log_holds_and_is_a_guard_again(service: Restarted) -> None:
    await put(service.logs.events, [b"{"] * 3 * MOST)
    with pytest.raises(Flooded):
        await work(service)
    await work(service, after_flood=True)
    assert await letters(service) == 3 * MOST
    await work(service)
    await put(service.logs.events, [b"{"] * MOST, 1)
    with pytest.raises(Flooded):
        await work(service)
    assert await letters(service) == 3 * MOST


async def test_what_is_read_again_is_not_dead_lettered_again(
    service: Restarted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So whoever reads the dead letters sees each once, however often the log is replayed."""
    await put(service.logs.events, [b"{", raw(envelope("quiz", QUIZ, "good"))])
    await work(service)
    monkeypatch.setattr(service.logs.dead_letters, "append", None)
    await service.empty()
    await work(service)
    assert await letters(service) == 1
    assert await service.students() == 1


async def test_a_process_without_a_worker_tells_what_waits(service: Restarted) -> None:
    await put(service.logs.events, [b"{"] * 3)
    engine = service.start()
    async with beside(engine.lag.keep_measuring()), asyncio.timeout(5):
        while b"mastery_queue_depth 0.0" in engine.metrics.text(engine.clock()):
            await asyncio.sleep(0.01)


async def test_refusals_by_age_are_no_flood(service: Restarted) -> None:
    await put(service.logs.events, [TOO_OLD] * 2 * MOST)
    await work(service)
    assert await letters(service) == 2 * MOST


async def test_poison_that_was_dead_lettered_once_is_no_flood_when_the_store_is_filled_again(
    service: Restarted,
) -> None:
    await put(service.logs.events, [b"{"] * 2 * MOST)
    await work(service, after_flood=True)
    await service.empty()
    await work(service)
    assert await letters(service) == 2 * MOST


async def test_a_service_whose_worker_was_stopped_by_a_flood_says_so_and_answers(tmp_path: Path) -> None:
    async with serving(tmp_path, worker_enabled=False) as api:
        await put(api.logs.events, [b"{"] * MOST)
    for _ in range(2):
        async with serving(tmp_path) as api, asyncio.timeout(10):
            while (answer := await api.get("/ready", token="")).status_code == 200:
                await asyncio.sleep(0.02)
            (worker,) = (one for one in answer.json()["error"]["details"]["dependencies"] if one["name"] == "worker")
            assert worker["status"] == "down"
            assert "--after-flood" in worker["message"]
            assert (await api.get("/health", token="")).status_code == 200
            assert (await api.post("/mastery/ingest", event())).status_code == 202
