"""What was worked out and costs more than a read, in this process's memory: see ``Kept``."""

from mastery_engine.clock import Clock
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.stores.base import KeptKey

LIFE_S = 300
MOST_VALUES = 10_000


class KeptInMemory:
    """See ``Kept``. The oldest value goes first once there are ``most``."""

    def __init__(self, clock: Clock, *, most: int = MOST_VALUES) -> None:
        self._clock = clock
        self._most = most
        self._values: dict[KeptKey, tuple[int, Micros, bytes]] = {}

    async def kept(self, key: KeptKey, version: int) -> bytes | None:
        known, until, value = self._values.get(key, (version, 0, b""))
        return value if known == version and self._clock() < until else None

    async def keep(self, key: KeptKey, version: int, value: bytes) -> None:
        self._values.pop(key, None)  # so that the oldest stands first
        if len(self._values) >= self._most:
            del self._values[next(iter(self._values))]
        self._values[key] = (version, self._clock() + LIFE_S * SECOND, value)

    async def drop(self, tenant: str, subject: str) -> None:
        for key in [key for key in self._values if key[:2] == (tenant, subject)]:
            del self._values[key]

    async def close(self) -> None:
        self._values.clear()
