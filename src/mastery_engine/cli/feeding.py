"""Appending events to the log while it is worked, by this process or by another one."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from mastery_engine.auth.access import Caller
from mastery_engine.data_folder import WorkerLock
from mastery_engine.domain.events.event import LearningEvent
from mastery_engine.engine import Engine
from mastery_engine.tasks import beside

IN_FLIGHT = 2
TAKE_OVER_S = 1.0


class Chunk(NamedTuple):
    """Events to append together; ``values`` are the documents that the log keeps of them, see ``EventLog.append``."""

    events: Sequence[LearningEvent]
    values: Sequence[bytes | None] | None = None


@asynccontextmanager
async def working(engine: Engine, lock: WorkerLock | None) -> AsyncIterator[asyncio.Task[None]]:
    """Work the log inside the block, once no other process does; without a lock, another process works it."""
    try:
        async with beside(_work(engine, lock)) as task:
            yield task
    finally:
        if lock is not None:
            lock.release()


async def _work(engine: Engine, lock: WorkerLock | None) -> None:
    if lock is None:
        await asyncio.Future()
        return
    while not lock.take():  # noqa: ASYNC110  the lock of another process gives no signal when it is released
        await asyncio.sleep(TAKE_OVER_S)
    await engine.worker.run()


async def catch_up(engine: Engine) -> None:
    """Work the log up to its present ends."""
    await engine.worker.run(until=await engine.progress.ends())


def folded(engine: Engine) -> int:
    """The number of events that this process has folded and that were new to their documents."""
    (family,) = engine.metrics.events.collect()
    return round(
        sum(
            sample.value
            for sample in family.samples
            if sample.name.endswith("_total") and sample.labels["outcome"] == "folded"
        )
    )


async def append(engine: Engine, caller: Caller, chunks: AsyncIterable[Chunk], call: str) -> dict[int, int]:
    """Append chunks of events, two at a time; returns the offset after the last event for each partition."""
    ends: dict[int, int] = {}
    under_way: deque[asyncio.Task[dict[int, int]]] = deque()
    async for chunk in chunks:
        if len(under_way) == IN_FLIGHT:
            _extend(ends, await under_way.popleft())
        under_way.append(asyncio.create_task(engine.ingest.append(caller, chunk.events, call, chunk.values)))
        await asyncio.sleep(0)
    for task in under_way:
        _extend(ends, await task)
    return ends


def _extend(ends: dict[int, int], more: Mapping[int, int]) -> None:
    for partition, end in more.items():
        ends[partition] = max(ends.get(partition, 0), end)
