"""A worker that cannot go on says so while it waits, and no longer than that."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from mastery_engine.backends.memory import logs as memory_logs
from mastery_engine.backends.memory import stores as memory_stores
from mastery_engine.errors import Unavailable
from mastery_engine.tasks import ended
from mastery_engine.worker import worker as worker_module
from mastery_engine.worker.worker import HINDERED, QUIET, Worker
from tests.support.composed import composed
from tests.support.samples import Clock, quiz

pytestmark = pytest.mark.timeout(30)


class Leaving:
    """A part of the stores that is away for a while."""

    def __init__(self, inner: Any, *calls: str) -> None:
        self._inner, self._calls = inner, calls
        self.is_away = True
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return self._away if self.is_away and name in self._calls else getattr(self._inner, name)

    async def _away(self, *_: Any, **__: Any) -> None:
        self.refused += 1
        raise Unavailable("The store is on holiday.")

    async def refuses(self) -> None:
        """Until it has refused once more."""
        before = self.refused
        while self.refused == before:
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(worker_module, "LONGEST_PAUSE_S", 0.001)


def hindered(worker: Worker) -> str | None:
    try:
        worker.check()
    except Unavailable as error:
        return error.message
    return None


async def test_a_batch_that_cannot_be_stored_is_told_after_a_while_and_until_it_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    stores, logs = memory_stores.open_stores(clock), memory_logs.open_logs()
    documents = Leaving(stores.documents, "commit")
    engine = composed(msgspec.structs.replace(stores, documents=documents), logs, clock)
    working = asyncio.create_task(engine.worker.run())
    with caplog.at_level(logging.WARNING):
        for number in (1, 2):
            documents.is_away = True
            await logs.events.append([quiz(1, 2, f"quiz-{number}")])
            await documents.refuses()
            assert hindered(engine.worker) is None  # it may be over at once
            clock.tick(HINDERED + 1)
            await documents.refuses()
            assert hindered(engine.worker) == "The worker waits, and tries again: The store is on holiday."
            clock.tick(10 * QUIET)
            await documents.refuses()
            await documents.refuses()
            assert hindered(engine.worker) is not None
            documents.is_away = False
            while hindered(engine.worker) is not None:
                await asyncio.sleep(0.001)
            assert await logs.events.committed() == await logs.events.ends()
    assert [record.message for record in caplog.records].count(
        "the worker cannot go on yet: The store is on holiday."
    ) == 2
    engine.worker.stop()
    await ended(working)


async def test_a_hindrance_is_over_once_nothing_is_left_to_work() -> None:
    clock = Clock()
    stores, logs = memory_stores.open_stores(clock), memory_logs.open_logs()
    checkpoints = Leaving(stores.checkpoints, "read")
    engine = composed(msgspec.structs.replace(stores, checkpoints=checkpoints), logs, clock)
    working = asyncio.create_task(engine.worker.run())
    await checkpoints.refuses()
    clock.tick(HINDERED + 1)
    await checkpoints.refuses()
    assert hindered(engine.worker) is not None
    checkpoints.is_away = False
    while hindered(engine.worker) is not None:
        clock.tick(QUIET)
        await asyncio.sleep(0.01)
    engine.worker.stop()
    await ended(working)
