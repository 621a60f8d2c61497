"""Idempotency keys in Redis, which lets them expire."""

from typing import Any

from mastery_engine.backends.redis import keys as names
from mastery_engine.backends.redis.client import Client
from mastery_engine.backends.redis.errors import or_unavailable
from mastery_engine.domain.moments import Micros
from mastery_engine.ports.idempotency import KEY_LIFE


class RedisIdempotency:
    """See ``IdempotencyStore``."""

    def __init__(self, client: Client) -> None:
        self._client: Any = client  # its own annotations mix both protocols, sync and async

    @or_unavailable
    async def claim(self, name: str, body: str, _at: Micros) -> str:
        """A key that expires between both commands is claimed again."""
        key = names.idempotency(name)
        while True:
            if await self._client.set(key, body, nx=True, px=KEY_LIFE // 1_000):
                return body
            first: bytes | None = await self._client.get(key)
            if first is not None:
                return first.decode()

    async def purge(self, _before: Micros) -> int:
        return 0
