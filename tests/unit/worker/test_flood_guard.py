"""A topic full of what cannot be read stops the worker, for good, until an operator has looked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mastery_engine.backends.memory.event_log import MemoryLog
from mastery_engine.backends.memory.store import MemoryStore
from mastery_engine.backends.sqlite.database import Database
from mastery_engine.backends.sqlite.event_log import SqliteLog
from mastery_engine.backends.sqlite.store import SqliteStore
from mastery_engine.domain.moments import DAY
from mastery_engine.domain.rules import Rules
from mastery_engine.errors import Flooded
from mastery_engine.services import Mastery
from mastery_engine.tasks import beside
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.worker.flood import MOST
from mastery_engine.worker.lag import keep_telling
from mastery_engine.worker.worker import Worker
from tests.support.calls import event, serving
from tests.support.samples import NOW, QUIZ, Clock, envelope, raw

TOO_OLD = raw(envelope("quiz", QUIZ, "old", at=NOW - 200 * DAY))


def memory(home: Path) -> Mastery:
    return engine(MemoryLog(), MemoryStore())


def sqlite(home: Path) -> Mastery:
    database = Database(home / "one.db")
    return engine(SqliteLog(database), SqliteStore(database))


def engine(log: MemoryLog | SqliteLog, store: MemoryStore | SqliteStore) -> Mastery:
    return Mastery(store, log, Rules(), Clock(), Metrics(), lambda: "new")


@pytest.fixture(params=[memory, sqlite])
async def mastery(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Mastery]:
    open_mastery: Callable[[Path], Mastery] = request.param
    opened = open_mastery(tmp_path)
    yield opened
    await opened.close()


async def put(mastery: Mastery, values: list[bytes], start: int = 0) -> None:
    """Records as some other program might write them."""
    log = mastery.log
    if isinstance(log, MemoryLog):
        for place, value in enumerate(values):
            log._put(NOW, "default", b"ada", value, f"{start}-{place}")
    elif isinstance(log, SqliteLog):
        rows = [(NOW, "default", f"{start}-{place}", b"ada", value) for place, value in enumerate(values)]
        statement = "INSERT INTO requests (received, tenant, event_id, key, value) VALUES (?, ?, ?, ?, ?)"
        await log._database.put(statement, rows)


async def work(mastery: Mastery, *, after_flood: bool = False) -> None:
    """All that the log holds, by a worker that has just been started."""
    async with asyncio.timeout(20):
        await Worker(mastery, after_flood=after_flood).run(until=await mastery.log.ends())


async def letters(mastery: Mastery) -> int:
    return len(await mastery.log.dead_letters(limit=100_000))


async def test_a_little_poison_is_dead_lettered_and_the_work_goes_on(mastery: Mastery) -> None:
    await put(mastery, [b"{"] * (MOST - 1) + [raw(envelope("quiz", QUIZ))])
    await work(mastery)
    assert await letters(mastery) == MOST - 1
    assert len([key async for key in mastery.store.students()]) == 1


async def test_a_flood_stops_the_worker_before_its_batch_is_dead_lettered_or_committed(mastery: Mastery) -> None:
    worker = Worker(mastery)
    await put(mastery, [b"{"] * 300)
    await worker.run(until=await mastery.log.ends())
    before = await mastery.log.committed()
    await put(mastery, [raw(envelope("quiz", QUIZ, "good")), *[b"no event"] * 300], 1)
    with pytest.raises(Flooded, match=r"partition 0.*worker --after-flood"):
        await worker.run(until=await mastery.log.ends())
    assert await letters(mastery) == 300
    assert await mastery.log.committed() == before
    assert not [key async for key in mastery.store.students()]


async def test_a_restart_alone_does_not_clear_a_flood(mastery: Mastery) -> None:
    await put(mastery, [b"{"] * MOST)
    with pytest.raises(Flooded):
        await work(mastery)
    for _ in range(2):
        with pytest.raises(Flooded, match="--after-flood"):
            await work(mastery)
    assert await letters(mastery) == 0


async def test_after_flood_dead_letters_all_that_the_log_holds_and_is_a_guard_again(mastery: Mastery) -> None:
    await put(mastery, [b"{"] * 3 * MOST)
    with pytest.raises(Flooded):
        await work(mastery)
    await work(mastery, after_flood=True)
    assert await letters(mastery) == 3 * MOST
    await work(mastery)
    await put(mastery, [b"{"] * MOST, 1)
    with pytest.raises(Flooded):
        await work(mastery)
    assert await letters(mastery) == 3 * MOST


async def test_what_is_read_again_is_not_dead_lettered_again(mastery: Mastery, monkeypatch: pytest.MonkeyPatch) -> None:
    """So whoever reads the dead letters sees each once, however often the log is replayed."""
    await put(mastery, [b"{", raw(envelope("quiz", QUIZ, "good"))])
    await work(mastery)
    monkeypatch.setattr(mastery.log, "bury", None)
    await mastery.store.clear()
    await work(mastery)
    assert await letters(mastery) == 1
    assert len([key async for key in mastery.store.students()]) == 1


async def test_a_process_without_a_worker_tells_what_waits(mastery: Mastery) -> None:
    await put(mastery, [b"{"] * 3)
    async with beside(keep_telling(mastery)), asyncio.timeout(5):
        while b"mastery_queue_depth 0.0" in mastery.metrics.text():
            await asyncio.sleep(0.01)


async def test_refusals_by_age_are_no_flood(mastery: Mastery) -> None:
    await put(mastery, [TOO_OLD] * 2 * MOST)
    await work(mastery)
    assert await letters(mastery) == 2 * MOST


async def test_poison_that_was_dead_lettered_once_is_no_flood_when_the_store_is_filled_again(mastery: Mastery) -> None:
    await put(mastery, [b"{"] * 2 * MOST)
    await work(mastery, after_flood=True)
    await mastery.store.clear()
    await work(mastery)
    assert await letters(mastery) == 2 * MOST


async def test_a_service_whose_worker_was_stopped_by_a_flood_says_so_and_answers(tmp_path: Path) -> None:
    async with serving(tmp_path, worker_enabled=False) as api:
        await put(api.app.state.mastery, [b"{"] * MOST)
    for _ in range(2):
        async with serving(tmp_path) as api, asyncio.timeout(10):
            while (answer := await api.get("/ready", token="")).status_code == 200:
                await asyncio.sleep(0.02)
            (worker,) = (one for one in answer.json()["error"]["details"]["dependencies"] if one["name"] == "worker")
            assert worker["status"] == "down"
            assert "--after-flood" in worker["message"]
            assert (await api.get("/health", token="")).status_code == 200
            assert (await api.post("/mastery/ingest", event())).status_code == 202
