"""Documents kept for queries in front of a store that is a network away: the L1 cache.

A document is answered with only while the server has vouched for it within the last second: it tells which documents
changed, and answers a ping after all that it told before. Without such word a document serves for less than a second.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeAlias

import msgspec

from mastery_engine.backends.redis.batch_loader import Loads
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.documents import Held
from mastery_engine.tasks import ended

logger = logging.getLogger(__name__)

LIFE_S = 30.0
FRESH_S = 0.8
AGAIN_S = 1.0
MOST_DOCUMENTS = 10_000
NEVER = float("-inf")


class Heard(msgspec.Struct, frozen=True):
    """What a server told: the documents that changed (None: any may have), or that it has told all up to a moment.

    ``up_to`` is in seconds, as is all time here, on the same clock as the cache's.
    """

    changed: tuple[StudentKey, ...] | None = ()
    up_to: float = NEVER


# Listens to the server until it is away; raises Unavailable then. Its first word is that any document may have changed.
Watch: TypeAlias = Callable[[], AsyncIterator[Heard]]


class _Kept(msgspec.Struct, frozen=True, gc=False):
    held: Held
    at: float


class CachedDocuments:
    """See ``DocumentCache``. ``now`` is a clock that never goes back, in seconds."""

    def __init__(
        self, store: Loads, *, now: Callable[[], float], watch: Watch | None = None, most: int = MOST_DOCUMENTS
    ) -> None:
        self._store = store
        self._now = now
        self._watch = watch
        self._most = most
        self._kept: dict[StudentKey, _Kept] = {}
        self._loading: dict[StudentKey, object] = {}
        self._vouched = NEVER
        self._listener: asyncio.Task[None] | None = None

    async def load(self, keys: Sequence[StudentKey]) -> list[Held | None]:
        if self._listener is None and self._watch is not None:
            self._listener = asyncio.create_task(self._listen(self._watch))
        now = self._now()
        found: dict[StudentKey, Held | None] = {key: self._fresh(key, now) for key in keys}
        missing = [key for key, held in found.items() if held is None]
        if missing:
            found |= zip(missing, await self._load(missing, now), strict=True)
        return [found[key] for key in keys]

    def _fresh(self, key: StudentKey, now: float) -> Held | None:
        kept = self._kept.get(key)
        if kept is None or now >= kept.at + LIFE_S or now >= max(kept.at, self._vouched) + FRESH_S:
            return None
        return kept.held

    async def _load(self, keys: Sequence[StudentKey], now: float) -> list[Held | None]:
        """From the store; what changes while it is on its way is not kept."""
        token = object()
        self._loading |= dict.fromkeys(keys, token)
        try:
            loaded = await self._store.load(keys)
            for key, held in zip(keys, loaded, strict=True):
                if held is not None and self._loading.get(key) is token:
                    self._keep(key, _Kept(held, now))
            return loaded
        finally:
            for key in keys:
                if self._loading.get(key) is token:
                    del self._loading[key]

    def _keep(self, key: StudentKey, kept: _Kept) -> None:
        self._kept.pop(key, None)  # so that the oldest stands first
        if len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = kept

    def forget(self, keys: Iterable[StudentKey]) -> None:
        for key in keys:
            self._kept.pop(key, None)
            self._loading.pop(key, None)

    async def _listen(self, watch: Watch) -> None:
        was_told = False
        while True:
            try:
                async for heard in watch():
                    was_told = False
                    self._hear(heard)
            except Unavailable as error:
                if not was_told:
                    logger.info("documents are kept for less than a second: %s", error.message)
                was_told = True
            await asyncio.sleep(AGAIN_S)

    def _hear(self, heard: Heard) -> None:
        if heard.changed is None:
            self._kept.clear()
            self._loading.clear()
        else:
            self.forget(heard.changed)
        self._vouched = max(self._vouched, heard.up_to)

    async def close(self) -> None:
        if self._listener is not None:
            await ended(self._listener)
