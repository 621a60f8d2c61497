"""The places of badges in status lists, and which of them were revoked.

A badge's places to try follow from a secret key and its id: they look like chance, and whoever issues the badge again
after a crash tries the same ones. The first that no other badge has is the badge's. A list that is full by and by is
followed by the next.
"""

import hmac
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.errors import Conflict
from mastery_engine.out.badges.badge import StatusPlace
from mastery_engine.out.badges.status_list import LENGTH, NOTHING_REVOKED, is_set, with_bit
from mastery_engine.ports.registry import RegistryStore, RegistryWrite, Table

TABLE: Table = "badge-statuses"
TRIES = 16  # in a list: while it is nine tenths full, one in six badges goes to the next
MOST_LISTS = 1_000
MAX_ROUNDS = 100


class StatusBits(msgspec.Struct, frozen=True):
    """The bits of a list, packed, and when one was set last."""

    packed: bytes
    changed: Micros

    @property
    def bits(self) -> bytes:
        return zlib.decompress(self.packed)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StatusBits).decode
EMPTY = StatusBits(zlib.compress(NOTHING_REVOKED), 0)


class BadgeStatuses:
    """Gives places, and sets bits."""

    def __init__(self, registry: RegistryStore, secret: bytes) -> None:
        self._registry = registry
        self._secret = secret

    async def claim(self, names: Sequence[str], now: Micros) -> dict[str, StatusPlace]:
        """A place for each badge, of its own; the same one again for whoever asks again. Raises Unavailable."""
        found: dict[str, StatusPlace] = {}
        tries = {name: self._places(name) for name in dict.fromkeys(names)}
        while len(found) < len(tries):
            asked = {name: next(places) for name, places in tries.items() if name not in found}
            keys = {name: _used(place) for name, place in asked.items()}
            first = {key: name for name, key in reversed(keys.items())}  # of two that want the same place
            writes = [RegistryWrite(key, name.encode(), 0) for key, name in first.items()]
            await self._registry.write(TABLE, writes, now)
            owners = dict(zip(first, await self._registry.find(TABLE, list(first), now), strict=True))
            for name, key in keys.items():
                entry = owners[key]
                if entry is not None and entry.value == name.encode():
                    found[name] = asked[name]
        return found

    async def revoke(self, places: Sequence[StatusPlace], now: Micros) -> None:
        """Set the bits of these badges; durable on return. Raises Unavailable and Conflict."""
        for number in sorted({place.number for place in places}):
            await self._revoke(number, [place.index for place in places if place.number == number], now)

    async def list(self, number: int, now: Micros) -> StatusBits | None:
        """The bits of a list; None where there is no such list. Raises Unavailable."""
        (entry,) = await self._registry.find(TABLE, [_bits(number)], now)
        if entry is not None:
            return _decode(entry.value)
        if number == 0 or await self._registry.page(TABLE, _used_in(number), "", 1, now):
            return EMPTY
        return None

    async def _revoke(self, number: int, indexes: Sequence[int], now: Micros) -> None:
        for _ in range(MAX_ROUNDS):
            (entry,) = await self._registry.find(TABLE, [_bits(number)], now)
            bits = NOTHING_REVOKED if entry is None else _decode(entry.value).bits
            new = [index for index in indexes if not is_set(bits, index)]
            if not new:
                return
            for index in new:
                bits = with_bit(bits, index)
            value = _encode(StatusBits(zlib.compress(bits), now))
            write = RegistryWrite(_bits(number), value, 0 if entry is None else entry.version)
            if (await self._registry.write(TABLE, [write], now))[0]:
                return
        raise Conflict("Others revoke badges at the same time: try again.")

    def _places(self, name: str) -> Iterator[StatusPlace]:
        for number in range(MOST_LISTS):
            yield from self._all_places(name, number)
        raise Conflict("All status lists of badges are full.")

    def _all_places(self, name: str, number: int) -> Iterator[StatusPlace]:
        """The places of a badge in one list."""
        for attempt in range(TRIES):
            digest = hmac.digest(self._secret, f"badge-place:{number}:{attempt}:{name}".encode(), "sha256")
            yield StatusPlace(number, int.from_bytes(digest[:8]) % LENGTH)


def _bits(number: int) -> str:
    return f"bits/{number}"


def _used_in(number: int) -> str:
    return f"used/{number}/"


def _used(place: StatusPlace) -> str:
    return f"{_used_in(place.number)}{place.index}"
