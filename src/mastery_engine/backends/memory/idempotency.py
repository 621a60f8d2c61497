"""Idempotency keys in memory."""

from collections.abc import Mapping

from mastery_engine.domain.moments import Micros
from mastery_engine.ports.idempotency import KEY_LIFE


class MemoryIdempotency:
    """See ``IdempotencyStore``."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, Micros]] = {}

    async def claim(self, name: str, body: str, at: Micros) -> str:
        first = self._held(name, at)
        if first is None:
            self._keys[name] = (body, at)
        return body if first is None else first

    async def claim_all(self, values: Mapping[str, str | None], at: Micros) -> dict[str, str | None]:
        return {
            name: self._held(name, at) if value is None else await self.claim(name, value, at)
            for name, value in values.items()
        }

    def _held(self, name: str, at: Micros) -> str | None:
        first = self._keys.get(name)
        return None if first is None or first[1] <= at - KEY_LIFE else first[0]

    async def purge(self, before: Micros) -> int:
        left = {name: first for name, first in self._keys.items() if first[1] >= before}
        removed = len(self._keys) - len(left)
        self._keys = left
        return removed
