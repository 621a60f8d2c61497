"""Events into the log, and the log worked meanwhile: by this process, or by the one that works it already."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from time import monotonic

from mastery_engine.auth.access import Caller
from mastery_engine.domain.events.event import LearningEvent, Logged
from mastery_engine.errors import Unavailable
from mastery_engine.services import Mastery
from mastery_engine.tasks import beside
from mastery_engine.wiring import WorkerLock
from mastery_engine.worker.worker import Worker

IN_FLIGHT = 2
LOOK_S = 0.02
TAKE_OVER_S = 1.0
PATIENCE_S = 60.0


@asynccontextmanager
async def working(mastery: Mastery, lock: WorkerLock | None) -> AsyncIterator[asyncio.Task[None]]:
    """The log is worked for as long as this lasts: here, once no other process does; without a lock, elsewhere."""
    try:
        async with beside(_work(mastery, lock)) as task:
            yield task
    finally:
        if lock is not None:
            lock.release()


async def _work(mastery: Mastery, lock: WorkerLock | None) -> None:
    if lock is None:
        await asyncio.Future()
        return
    while not lock.take():  # noqa: ASYNC110  another process's lock tells nobody that it is free
        await asyncio.sleep(TAKE_OVER_S)
    await Worker(mastery).run()


async def catch_up(mastery: Mastery) -> None:
    """Work what the log holds already."""
    await Worker(mastery).run(until=await mastery.log.ends())


def folded(mastery: Mastery) -> int:
    """How many events this process has folded that were new to their documents."""
    (family,) = mastery.metrics.events.collect()
    return round(
        sum(
            sample.value
            for sample in family.samples
            if sample.name.endswith("_total") and sample.labels["outcome"] == "folded"
        )
    )


async def append(mastery: Mastery, caller: Caller, chunks: Iterable[list[LearningEvent]], call: str) -> dict[int, int]:
    """Append chunks of events, two under way at a time; for each partition, the offset after the last of them."""
    ends: dict[int, int] = {}
    under_way: deque[asyncio.Task[list[Logged]]] = deque()
    for chunk in chunks:
        if len(under_way) == IN_FLIGHT:
            _reach(ends, await under_way.popleft())
        under_way.append(asyncio.create_task(mastery.submit(caller, chunk, call)))
        await asyncio.sleep(0)
    for task in under_way:
        _reach(ends, await task)
    return ends


def _reach(ends: dict[int, int], logged: list[Logged]) -> None:
    for one in logged:
        ends[one.partition] = max(ends.get(one.partition, 0), one.offset + 1)


async def worked(
    mastery: Mastery, ends: dict[int, int], work: asyncio.Task[None], told: Callable[[float], None]
) -> None:
    """Wait until the log is worked up to the offsets; ``told`` hears how many lie behind.

    Raises Unavailable where nothing moves for a minute, and whatever ends the work here.
    """
    log_id = await mastery.log.log_id()
    before, moved = -1, monotonic()
    while True:
        marks, committed = (await mastery.store.marks(log_id)).offsets, await mastery.log.committed()
        reached = {part: min(marks.get(part, 0), committed.get(part, 0), end) for part, end in ends.items()}
        told(sum(reached.values()))
        if reached == ends:
            return
        if work.done():
            work.result()
        if sum(reached.values()) > before:
            before, moved = sum(reached.values()), monotonic()
        elif monotonic() - moved > PATIENCE_S:
            raise Unavailable(
                "The events are safe in the log, but the process that works it has not moved for "
                f"{PATIENCE_S:.0f} s: look at its log. They count as soon as it works again."
            )
        await asyncio.sleep(LOOK_S)
