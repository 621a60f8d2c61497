"""Tasks end when they are told to, though the first telling be lost."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from mastery_engine.cli.console import opened
from mastery_engine.cli.feeding import working
from mastery_engine.data_folder import WorkerLock
from mastery_engine.errors import Unavailable
from mastery_engine.settings import Settings
from mastery_engine.tasks import beside, ended
from mastery_engine.worker.worker import Worker


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastery_engine.tasks.AGAIN_S", 0.01)


async def deaf(*_: object) -> None:
    """Does not hear the first cancellation, as ``asyncio.wait_for`` does not when its work is just done."""
    with suppress(asyncio.CancelledError):
        await asyncio.Future()
    await asyncio.Future()


async def test_a_task_that_does_not_hear_the_first_time_is_told_again() -> None:
    async with asyncio.timeout(5), beside(deaf()) as task:
        await asyncio.sleep(0)
    assert task.cancelled()


async def test_what_a_task_failed_with_is_raised_at_its_end() -> None:
    async def fails() -> None:
        raise Unavailable("Kafka is away.")

    with pytest.raises(Unavailable, match="away"):
        async with beside(fails()):
            await asyncio.sleep(0)


async def test_a_task_that_was_done_already_has_ended() -> None:
    async def nothing() -> None:
        return

    task = asyncio.create_task(nothing())
    await task
    await ended(task)


async def test_a_command_ends_though_its_worker_does_not_hear_the_first_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Worker, "run", deaf)
    settings = Settings(data_dir=tmp_path)
    async with asyncio.timeout(5), opened(settings) as mastery, working(mastery, WorkerLock(settings)) as work:
        await asyncio.sleep(0.01)
    assert work.cancelled()
