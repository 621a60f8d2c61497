"""Readiness: whether every dependency of the service answers and takes writes. What changes is logged."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import TypeAlias

import msgspec

from mastery_engine.errors import Unavailable
from mastery_engine.responses.readiness import Dependency
from mastery_engine.services.dangers import Dangers

PATIENCE_S = 3.0
SHARED_S = 1.0  # a check may write, and anyone may ask
LOOK_EVERY_S = 5.0

logger = logging.getLogger(__name__)

Check: TypeAlias = Callable[[], Awaitable[None]]


class Readiness:
    """The dependencies of a process by name; a check raises Unavailable if its dependency does not answer.

    Whoever asks within a second after a check has ended, or while it runs, gets that check's answer. ``addresses``
    names the setting of each dependency's address, which to look at where it does not answer.
    """

    def __init__(
        self, checks: Mapping[str, Check], dangers: Dangers, addresses: Mapping[str, str] | None = None
    ) -> None:
        settings = addresses or {}
        self._checks = {name: _SharedCheck(name, check, settings.get(name)) for name, check in checks.items()}
        self._dangers = dangers
        self._warnings: dict[str, Callable[[], Sequence[str]]] = {}

    def watch(self, name: str, check: Check, warnings: Callable[[], Sequence[str]] = tuple) -> None:
        """Add a dependency from now on; ``warnings`` say what is wrong beside it, and make nothing unready."""
        self._checks[name] = _SharedCheck(name, check)
        self._warnings[name] = warnings

    async def keep_looking(self) -> None:
        """Check every few seconds until cancelled, so that the log tells what changes where nobody asks."""
        try:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                await asyncio.gather(*(check.ask() for check in self._checks.values()), return_exceptions=True)
        finally:
            for check in self._checks.values():
                check.stop()

    async def dependencies(self) -> list[Dependency]:
        """Each dependency with its latency and its warnings; all are checked at once."""
        answers = await asyncio.gather(*(check.ask() for check in self._checks.values()))
        return [
            msgspec.structs.replace(
                answer,
                warnings=[
                    *[danger.message for danger in self._dangers.of(answer.name)],
                    *self._warnings.get(answer.name, tuple)(),
                ],
            )
            for answer in answers
        ]


class _SharedCheck:
    """One dependency's check, and its last answer."""

    def __init__(self, name: str, check: Check, setting: str | None = None) -> None:
        self._name = name
        self._check = check
        self._setting = setting
        self._asking: asyncio.Task[Dependency] | None = None
        self._ended = 0.0
        self._last = Dependency(name, "up", None)

    async def ask(self) -> Dependency:
        asking = self._asking
        if asking is None or (asking.done() and perf_counter() - self._ended > SHARED_S):
            self._asking = asking = asyncio.create_task(self._ask())
        return await asyncio.shield(asking)  # a caller who leaves takes no answer from the others

    def stop(self) -> None:
        """Leave a check that is under way: what it asks is about to be closed."""
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self) -> Dependency:
        started = perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._check()
            message = None
        except TimeoutError:
            message = silent(self._name, PATIENCE_S, self._setting)
        except Unavailable as error:
            message = error.message
        finally:
            self._ended = perf_counter()
        if message is None:
            now = Dependency(self._name, "up", round((self._ended - started) * 1_000, 3))
        else:
            now = Dependency(self._name, "down", None, message)
        before, self._last = self._last, now
        if message is not None and message != before.message:
            logger.warning("%s is down: %s", self._name, message)
        elif message is None and before.message is not None:
            logger.warning("%s is up again", self._name)
        return now


def silent(name: str, seconds: float, setting: str | None) -> str:
    """What to say and to look at where a dependency does not answer."""
    where = f", and at {setting}" if setting is not None else ""
    return f"The {name} has not answered within {seconds:g} s: look at its load and at the network{where}."
