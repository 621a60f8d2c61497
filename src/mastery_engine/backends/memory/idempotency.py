"""Idempotency keys in memory."""

from mastery_engine.domain.moments import Micros
from mastery_engine.ports.idempotency import KEY_LIFE


class MemoryIdempotency:
    """See ``IdempotencyStore``."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[str, Micros]] = {}

    async def claim(self, name: str, body: str, at: Micros) -> str:
        first = self._keys.get(name)
        if first is None or first[1] <= at - KEY_LIFE:
            first = self._keys[name] = (body, at)
        return first[0]

    async def purge(self, before: Micros) -> int:
        left = {name: first for name, first in self._keys.items() if first[1] >= before}
        removed = len(self._keys) - len(left)
        self._keys = left
        return removed
