"""The rate limits' windows in Redis, on a client that is there already: alone, behind Sentinels, or a Cluster."""

from typing import Any

from limits.aio.storage import RedisStorage

from mastery_engine.backends.redis.client import Client

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
