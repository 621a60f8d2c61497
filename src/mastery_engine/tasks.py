"""Tasks that run beside the work of a process, and how they end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

AGAIN_S = 1.0


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """A task for as long as this lasts."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        await ended(task)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and return once it has ended; raises what it ended with, a cancellation apart.

    It is told again until it listens: before Python 3.12 ``asyncio.wait_for`` forgets a cancellation that comes just as
    what it waits for is done, and redis-py sends every command through it.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN_S)
    if not task.cancelled():
        task.result()
