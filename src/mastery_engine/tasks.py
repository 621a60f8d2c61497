"""Background tasks, and how to end them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

AGAIN_S = 1.0


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run a task inside the block; it is cancelled at the end."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        await ended(task)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and return once it has ended; raises its error, unless that is the cancellation.

    It is cancelled again until it ends: before Python 3.12 ``asyncio.wait_for`` loses a cancellation that comes just
    when its task is done, and redis-py sends every command through it.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_S)
    if not task.cancelled():
        task.result()
