"""A time limit for stores and logs, so that calls are answered even if a dependency hangs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mastery_engine.errors import Unavailable

STORE_S = 2.0
LOG_S = 5.0


@asynccontextmanager
async def promptly(whom: str, seconds: float) -> AsyncIterator[None]:
    """Raises Unavailable, about ``whom``, if the block takes longer than ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unavailable(f"The {whom} has not answered within {seconds:g} s: try again later.") from None
