"""Sets of names behind Dapr's state API, which cannot list keys: each is one value, or several that share the names."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence

from mastery_engine.backends.dapr.client import DaprState, Value, Write
from mastery_engine.errors import Unavailable

SHARDS = 64
MAX_ROUNDS = 200


class DaprIndex:
    """One set. Adding and taking out are compare-and-set, tried until they win."""

    def __init__(self, state: DaprState, name: str, life_s: int, *, shards: int = SHARDS) -> None:
        self._state = state
        self._name = name
        self._life_s = life_s
        self._shards = shards

    async def add(self, names: Sequence[str]) -> None:
        await self._change(names, lambda held, new: held | new)

    async def discard(self, names: Sequence[str]) -> None:
        await self._change(names, lambda held, gone: held - gone)

    async def members(self) -> set[str]:
        return {name for page in await self._read() if page is not None for name in page.data}

    async def pages(self) -> AsyncIterator[list[str]]:
        """The names of one value after another."""
        for number in range(self._shards):
            (value,) = await self._state.read([self._key(number)])
            if value is not None and value.data:
                yield list(value.data)

    async def clear(self) -> None:
        await self._state.change([], [self._key(number) for number in range(self._shards)])

    async def _read(self) -> list[Value | None]:
        return await self._state.read([self._key(number) for number in range(self._shards)])

    async def _change(self, names: Sequence[str], fold: Callable[[set[str], set[str]], set[str]]) -> None:
        asked: dict[int, set[str]] = defaultdict(set)
        for name in names:
            asked[zlib.crc32(name.encode()) % self._shards].add(name)
        for _ in range(MAX_ROUNDS):
            numbers = list(asked)
            found = await self._state.read([self._key(number) for number in numbers])
            writes = []
            for number, value in zip(numbers, found, strict=True):
                held = set(value.data) if value is not None else set()
                after = fold(held, asked[number])
                if after == held:
                    del asked[number]
                else:
                    etag = value.etag if value is not None else None
                    writes.append(Write(self._key(number), sorted(after), etag, self._life_s))
            if not writes:
                return
            if await self._state.write(writes):
                return
            await asyncio.sleep(0)
        raise Unavailable("Too many writers want the same list at once: ask again.")

    def _key(self, number: int) -> str:
        return f"index:{self._name}:{number}"
