"""The keys that sign badges: one for the whole installation, made when first needed, and rotated by an operator.

The public half of each key that ever signed stays, so that old badges verify. The private half is kept sealed under
PSEUDONYM_KEY, and only of the key that signs now: whoever finds an older store cannot sign as of today.
"""

from collections.abc import Callable
from hashlib import sha256

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mastery_engine.auth.sealing import Seal
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import Conflict
from mastery_engine.out.badges.multibase import multikey
from mastery_engine.ports.registry import RegistryStore, RegistryWrite, Table

TABLE: Table = "badge-keys"
RECORD = "all"
CACHED_FOR: Micros = 2 * SECOND  # another process signs by the key before for so long
MAX_ROUNDS = 20


class KeptKey(msgspec.Struct, frozen=True):
    """A key as it is kept: the public half as Multikey, and the sealed private half of the last one."""

    public: str
    made: Micros
    sealed: bytes | None = None


class SigningKey(msgspec.Struct, frozen=True):
    """The key that signs now."""

    private: Ed25519PrivateKey
    public: str
    made: Micros


class KeyRing(msgspec.Struct, frozen=True):
    """All keys, oldest first, as they were read at a moment; none before the first badge."""

    keys: tuple[KeptKey, ...]
    version: int
    read: Micros


_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[tuple[KeptKey, ...]] = msgspec.msgpack.Decoder(tuple[KeptKey, ...])


class BadgeKeys:
    """Keeps, makes and rotates the keys."""

    def __init__(self, registry: RegistryStore, seal: Seal, new_secret: Callable[[], str]) -> None:
        """``new_secret`` makes a text of 256 random bits."""
        self._registry = registry
        self._seal = seal
        self._new_secret = new_secret
        self._cached: KeyRing | None = None
        self._opened: SigningKey | None = None

    async def public(self, now: Micros) -> list[str]:
        """All public keys, oldest first; the first key is made where there is none. Raises Unavailable."""
        return [key.public for key in (await self._made(now)).keys]

    async def signing(self, now: Micros) -> SigningKey:
        """The key that signs now. Raises Unavailable, and where it was sealed under another PSEUDONYM_KEY."""
        last = (await self._made(now)).keys[-1]
        if self._opened is None or self._opened.public != last.public:
            private = self._seal.open(last.sealed or b"", _name(last.public))
            self._opened = SigningKey(Ed25519PrivateKey.from_private_bytes(private), last.public, last.made)
        return self._opened

    async def all(self, now: Micros) -> tuple[KeptKey, ...]:
        """The keys as they are kept now, oldest first; the last one signs. Raises Unavailable."""
        self._cached = None
        return (await self._made(now)).keys

    async def rotate(self, now: Micros) -> KeptKey:
        """Sign by a new key from now on; other processes do so within seconds. Raises Unavailable and Conflict."""
        for _ in range(MAX_ROUNDS):
            ring = await self._read(now)
            key = self._new(now)
            if await self._put(ring, key, now):
                return key
        raise Conflict("Others rotate the keys of badges at the same time: try again.")

    async def _made(self, now: Micros) -> KeyRing:
        """The ring as it was a few seconds ago at most, with a key in it."""
        ring = self._cached
        if ring is None or not abs(now - ring.read) < CACHED_FOR:
            ring = await self._read(now)
        for _ in range(MAX_ROUNDS):
            if ring.keys:
                self._cached = ring
                return ring
            await self._put(ring, self._new(now), now)  # or another process has put its own
            ring = await self._read(now)
        raise Conflict("The first key of badges could not be made: try again.")

    async def _read(self, now: Micros) -> KeyRing:
        (entry,) = await self._registry.find(TABLE, [RECORD], now)
        return KeyRing((), 0, now) if entry is None else KeyRing(_decoder.decode(entry.value), entry.version, now)

    async def _put(self, ring: KeyRing, key: KeptKey, now: Micros) -> bool:
        before = [msgspec.structs.replace(one, sealed=None) for one in ring.keys]
        self._cached = None
        write = RegistryWrite(RECORD, _encode((*before, key)), ring.version)
        return (await self._registry.write(TABLE, [write], now))[0]

    def _new(self, now: Micros) -> KeptKey:
        private = sha256(self._new_secret().encode()).digest()
        public = multikey(Ed25519PrivateKey.from_private_bytes(private).public_key())
        return KeptKey(public, now, self._seal.seal(private, _name(public)))


def _name(public: str) -> str:
    return f"badge-key {public}"
