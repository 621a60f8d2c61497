"""The rate limits' windows in Redis, on a client that is there already: alone, behind Sentinels, or a Cluster."""

from typing import Any

from limits.aio.storage import RedisStorage

from mastery_engine.backends.redis.client import Client, connect, disconnect
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.ports.backend import Connection, Danger

PREFIX = "mastery:limits"


class RedisWindows(RedisStorage):
    """See ``limits.aio.storage.Storage``. The client stays its owner's to close."""

    def __init__(self, client: Client) -> None:
        self._client = client
        super().__init__("async+redis://", wrap_exceptions=True, implementation="redispy", key_prefix=PREFIX)

    def configure_bridge(self) -> None:
        bridge: Any = self.bridge  # its type names no client
        bridge.storage = self._client
        bridge.connection_getter = lambda _: self._client


class WindowsConnection:
    """The client of the windows."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    @or_unavailable
    async def ping(self) -> None:
        await self._client.ping()

    async def dangers(self) -> list[Danger]:
        """The stores are on the same server, and tell."""
        return []

    async def close(self) -> None:
        await disconnect(self._client)


def open_windows(host: str) -> tuple[RedisWindows, Connection]:
    """The windows on a client of their own; it connects when it is first used. Raises StartRefused."""
    client = connect(host)
    return RedisWindows(client), WindowsConnection(client)
