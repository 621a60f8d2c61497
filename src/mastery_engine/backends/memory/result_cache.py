"""The result cache in this process's memory."""

from cachetools import TTLCache

from mastery_engine.clock import Clock
from mastery_engine.domain.moments import SECOND
from mastery_engine.ports.result_cache import LIFE_S, ResultKey

MOST_RESULTS = 10_000


class MemoryResultCache:
    """See ``ResultCache``. The result that was used least recently goes first once there are ``most``."""

    def __init__(self, clock: Clock, *, most: int = MOST_RESULTS) -> None:
        self._results: TTLCache[ResultKey, tuple[str, bytes]] = TTLCache(most, LIFE_S * SECOND, timer=clock)
        self._kinds: set[str] = set()  # a handful: to forget a subject is to forget each kind about it

    async def get(self, key: ResultKey, version: str) -> bytes | None:
        cached = self._results.get(key)
        return cached[1] if cached is not None and cached[0] == version else None

    async def put(self, key: ResultKey, version: str, value: bytes) -> None:
        self._results[key] = (version, value)
        self._kinds.add(key.kind)

    async def drop(self, tenant: str, subject: str) -> None:
        for kind in self._kinds:
            self._results.pop(ResultKey(tenant, subject, kind), None)
