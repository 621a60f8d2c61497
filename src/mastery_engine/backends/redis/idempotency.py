"""Idempotency keys in Redis, which lets them expire."""

from collections.abc import Mapping
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
        return (await self._claimed({name: body}))[name] or body

    @or_unavailable
    async def claim_all(self, values: Mapping[str, str | None], _at: Micros) -> dict[str, str | None]:
        return await self._claimed(values)

    async def _claimed(self, values: Mapping[str, str | None]) -> dict[str, str | None]:
        """A key that expires between both commands is claimed again."""
        found: dict[str, str | None] = {}
        waiting = dict(values)
        while waiting:
            pipeline = self._client.pipeline(transaction=False)
            for name, value in waiting.items():
                key = names.idempotency(name)
                if value is not None:
                    pipeline.set(key, value, nx=True, px=KEY_LIFE // 1_000)
                pipeline.get(key)
            answers = iter(await pipeline.execute())
            for name, value in list(waiting.items()):
                if value is not None:
                    next(answers)
                first: bytes | None = next(answers)
                if first is not None or value is None:
                    found[name] = None if first is None else first.decode()
                    del waiting[name]
        return found

    async def purge(self, _before: Micros) -> int:
        return 0
