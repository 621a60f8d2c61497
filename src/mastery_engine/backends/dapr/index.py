"""Sets of names in the state, which cannot list its keys: each set is one value, or several that share the names.

What a set leads to would be lost with it, so it does not expire while it has names. Whoever goes through one takes out
the names that lead nowhere any more.
"""

import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Fold, Replacement

SHARDS = 64
TOMBSTONE_S = 24 * 3_600
NOTHING: frozenset[str] = frozenset()


class DaprIndex:
    """One set. All calls raise Unavailable."""

    def __init__(self, state: DaprState, name: str, *, shards: int = 1) -> None:
        self._state = state
        self._name = name
        self._shards = shards
        self._written: set[int] = set()

    async def add(self, names: Iterable[str]) -> None:
        parts = self._parts(names)
        await self._fold({number: changed(add=part, rewrite=self._is_new(number)) for number, part in parts.items()})

    async def discard(self, names: Iterable[str]) -> None:
        parts = self._parts(names)
        await self._fold(
            {number: changed(discard=part, rewrite=self._is_new(number)) for number, part in parts.items()}
        )

    async def renew(self) -> None:
        """Write all that there is again, as it is: should it have an expiry, from an older engine, that goes."""
        await self._fold(dict.fromkeys(range(self._shards), changed(rewrite=True)))

    async def members(self) -> set[str]:
        values = await self._state.read([keys.index(self._name, number) for number in range(self._shards)])
        return {name for value in values if value is not None for name in value.data}

    async def pages(self) -> AsyncIterator[list[str]]:
        """The names of one value after another."""
        for number in range(self._shards):
            (value,) = await self._state.read([keys.index(self._name, number)])
            if value is not None and value.data:
                yield list(value.data)

    async def discard_gone(
        self, names: Sequence[str], which: Callable[[Sequence[str]], Awaitable[Iterable[str]]]
    ) -> None:
        """Take out names that lead nowhere, but those that lead somewhere again by then: ``which`` says which do.

        Who writes a value adds its name before, and adds it again after.
        """
        if names:
            await self.discard(names)
            await self.add(await which(names))

    def _parts(self, names: Iterable[str]) -> dict[int, frozenset[str]]:
        parts: dict[int, set[str]] = defaultdict(set)
        for name in names:
            parts[zlib.crc32(name.encode()) % self._shards].add(name)
        return {number: frozenset(part) for number, part in parts.items()}

    def _is_new(self, number: int) -> bool:
        """Whether this process has not written a value yet: an older engine may have given it an expiry."""
        return number not in self._written

    async def _fold(self, folds: dict[int, Fold]) -> None:
        if folds:
            await self._state.fold({keys.index(self._name, number): fold for number, fold in folds.items()})
            self._written |= folds.keys()


def changed(*, add: frozenset[str] = NOTHING, discard: frozenset[str] = NOTHING, rewrite: bool = False) -> Fold:
    """Into a set with these names and without those; written although it does not change where ``rewrite``."""

    def fold(stored: Sequence[str] | None) -> Replacement | None:
        before = frozenset(stored or ())
        after = (before | add) - discard
        if after == before and not (rewrite and before):
            return None
        return Replacement(sorted(after), None if after else TOMBSTONE_S)

    return fold


def listed(*parts: str) -> str:
    """Several words as one name."""
    return msgspec.json.encode(parts).decode()


def pair_from(name: str) -> tuple[str, str]:
    """The two words that ``listed`` made a name of."""
    return msgspec.json.decode(name, type=tuple[str, str])


def words_from(name: str) -> list[str]:
    """The words that ``listed`` made a name of."""
    return msgspec.json.decode(name, type=list[str])
