"""Connections between two requests: one timer for all of them ends those that have waited for too long."""

import asyncio
from typing import Protocol


class IdleConnection(Protocol):
    """A connection that waits for its next request."""

    def timeout_keep_alive_handler(self) -> None:
        """It has waited for long enough: close it."""
        ...


class IdleConnections:
    """The idle connections of a server. All of them may wait for the same time, so they end in the order they began."""

    def __init__(self) -> None:
        self._ends: dict[IdleConnection, float] = {}
        self._is_timed = False

    def begin(self, connection: IdleConnection, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """A connection waits from now on, for at most ``seconds``."""
        self._ends.pop(connection, None)
        self._ends[connection] = end = loop.time() + seconds
        if not self._is_timed:
            self._is_timed = True
            loop.call_at(end, self._sweep, loop)

    def end(self, connection: IdleConnection) -> None:
        """A connection, which may not have waited, waits no more."""
        self._ends.pop(connection, None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [one for one, end in self._ends.items() if end <= now]:
            self.end(connection)
            connection.timeout_keep_alive_handler()
        self._is_timed = bool(self._ends)
        if self._ends:
            loop.call_at(next(iter(self._ends.values())), self._sweep, loop)
