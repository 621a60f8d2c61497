"""Readiness: whether every dependency of the service answers."""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeAlias

from mastery_engine.errors import Unavailable
from mastery_engine.responses.readiness import Dependency

PATIENCE_S = 3.0

Check: TypeAlias = Callable[[], Awaitable[None]]


class Readiness:
    """The dependencies of a process by name; a check raises Unavailable if its dependency does not answer."""

    def __init__(self, checks: dict[str, Check]) -> None:
        self._checks = dict(checks)

    def watch(self, name: str, check: Check) -> None:
        """Add a dependency from now on."""
        self._checks[name] = check

    async def dependencies(self) -> list[Dependency]:
        """Each dependency with its latency; all are checked at once."""
        return list(await asyncio.gather(*(_ask(name, check) for name, check in self._checks.items())))


async def _ask(name: str, check: Check) -> Dependency:
    started = perf_counter()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await check()
    except TimeoutError:
        return Dependency(name, "down", None, f"No answer within {PATIENCE_S:g} s.")
    except Unavailable as error:
        return Dependency(name, "down", None, error.message)
    return Dependency(name, "up", round((perf_counter() - started) * 1_000, 3))
