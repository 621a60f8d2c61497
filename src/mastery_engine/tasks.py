"""Background tasks and how to end them, and a time limit for whatever may hang."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from mastery_engine.errors import Unavailable

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


@asynccontextmanager
async def promptly(whom: str, seconds: float) -> AsyncIterator[None]:
    """Raises Unavailable, about ``whom``, if the block takes longer than ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unavailable(f"The {whom} has not answered within {seconds:g} seconds: try again later.") from None
