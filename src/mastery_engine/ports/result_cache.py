"""What was worked out and costs more than a read: what a cache of it promises, and the one in this process's memory."""

from typing import NamedTuple, Protocol

from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.ports.clock import Clock

LIFE_S = 300
MOST_VALUES = 10_000


class KeptKey(NamedTuple):
    """What was worked out (``kind``: forecast, cohort, …), and about whom: a student's id, or a cohort's."""

    tenant: str
    subject: str
    kind: str


class Kept(Protocol):
    """What costs more than a read, for five minutes: the L2 cache, shared by all replicas where the store is.

    A value is found only under the version that it was worked out from. A cache that is away has nothing, and loses
    what it is given: neither raises.
    """

    async def kept(self, key: KeptKey, version: int) -> bytes | None:
        """What was kept of this version, if it still is."""
        ...

    async def keep(self, key: KeptKey, version: int, value: bytes) -> None: ...

    async def drop(self, tenant: str, subject: str) -> None:
        """Forget all kinds about a student or cohort, as an erasure does. Raises Unavailable."""
        ...

    async def close(self) -> None: ...


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
