"""Readiness: whether every dependency of the service answers and takes writes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import TypeAlias

import msgspec

from mastery_engine.errors import Unavailable
from mastery_engine.responses.readiness import Dependency
from mastery_engine.services.dangers import Dangers

PATIENCE_S = 3.0
SHARED_S = 1.0  # a check may write, and anyone may ask

Check: TypeAlias = Callable[[], Awaitable[None]]


class Readiness:
    """The dependencies of a process by name; a check raises Unavailable if its dependency does not answer.

    Whoever asks within a second after a check has ended, or while it runs, gets that check's answer.
    """

    def __init__(self, checks: Mapping[str, Check], dangers: Dangers) -> None:
        self._checks = {name: _SharedCheck(name, check) for name, check in checks.items()}
        self._dangers = dangers

    def watch(self, name: str, check: Check) -> None:
        """Add a dependency from now on."""
        self._checks[name] = _SharedCheck(name, check)

    async def dependencies(self) -> list[Dependency]:
        """Each dependency with its latency and its warnings; all are checked at once."""
        answers = await asyncio.gather(*(check.ask() for check in self._checks.values()))
        return [
            msgspec.structs.replace(answer, warnings=[danger.message for danger in self._dangers.of(answer.name)])
            for answer in answers
        ]


class _SharedCheck:
    """One dependency's check, and its last answer."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._asking: asyncio.Task[Dependency] | None = None
        self._ended = 0.0

    async def ask(self) -> Dependency:
        asking = self._asking
        if asking is None or (asking.done() and perf_counter() - self._ended > SHARED_S):
            self._asking = asking = asyncio.create_task(self._ask())
        return await asyncio.shield(asking)  # a caller who leaves takes no answer from the others

    async def _ask(self) -> Dependency:
        started = perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._check()
        except TimeoutError:
            return Dependency(self._name, "down", None, f"No answer within {PATIENCE_S:g} s.")
        except Unavailable as error:
            return Dependency(self._name, "down", None, error.message)
        finally:
            self._ended = perf_counter()
        return Dependency(self._name, "up", round((self._ended - started) * 1_000, 3))
