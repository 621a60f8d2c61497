"""The key pairs by which this tool signs: made once for all replicas, kept in the store under a seal, and rotated."""

import asyncio
from hashlib import sha256
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from mastery_engine.auth.sealing import Seal
from mastery_engine.domain.moments import DAY, MINUTE, Micros
from mastery_engine.errors import Unavailable
from mastery_engine.ports.registry import RegistryStore, RegistryWrite

NAME = "tool"
ALGORITHM = "RS256"  # the one that every platform must take (Security Framework 1.1, 6.1)
BITS, EXPONENT = 2_048, 65_537
RENEWED_AFTER: Micros = 90 * DAY
USED_FROM: Micros = DAY  # platforms may have cached the set without it until then
GONE_AFTER: Micros = 2 * RENEWED_AFTER
CACHED_FOR: Micros = MINUTE
MAX_ROUNDS = 20


class KeptToolKey(msgspec.Struct, frozen=True):
    """A key pair as it is kept: ``sealed`` is the private key (PKCS #8)."""

    kid: str
    sealed: bytes
    created: Micros


class _Key(msgspec.Struct, frozen=True):
    kid: str
    private: RSAPrivateKey
    created: Micros


_decode = msgspec.msgpack.Decoder(list[KeptToolKey]).decode


class ToolKeys:
    """Signs, and tells the public keys, newest first."""

    def __init__(self, registry: RegistryStore, seal: Seal) -> None:
        self._registry = registry
        self._seal = seal
        self._cached: tuple[Micros, list[_Key]] | None = None

    async def sign(self, claims: dict[str, Any], now: Micros) -> str:
        """The claims as a signed JSON Web Token. Raises Unavailable."""
        keys = await self._keys(now)
        known = [one for one in keys if one.created + USED_FROM <= now]
        key = known[0] if known else keys[-1]
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"kid": key.kid})

    async def public(self, now: Micros) -> dict[str, Any]:
        """The set of public keys (RFC 7517). Raises Unavailable."""
        shown = []
        for key in await self._keys(now):
            public = jwt.algorithms.RSAAlgorithm.to_jwk(key.private.public_key(), as_dict=True)
            shown.append(
                {"kty": "RSA", "n": public["n"], "e": public["e"], "kid": key.kid, "alg": ALGORITHM, "use": "sig"}
            )
        return {"keys": shown}

    async def _keys(self, now: Micros) -> list[_Key]:
        if self._cached is not None and abs(now - self._cached[0]) < CACHED_FOR:
            return self._cached[1]
        for _ in range(MAX_ROUNDS):
            (entry,) = await self._registry.find("lti-keys", [NAME], now)
            kept = [] if entry is None else _decode(entry.value)
            opened = [key for one in kept if (key := self._opened(one)) is not None]
            if opened and now < opened[0].created + RENEWED_AFTER:
                self._cached = (now, opened)
                return opened
            made = await asyncio.to_thread(self._made, now)  # it takes a tenth of a second
            # One that the seal does not open is of another PSEUDONYM_KEY: nobody can sign by it any more.
            after = [made, *[one for one in kept if self._opened(one) is not None and now < one.created + GONE_AFTER]]
            write = RegistryWrite(NAME, msgspec.msgpack.encode(after), expected=0 if entry is None else entry.version)
            await self._registry.write("lti-keys", [write], now)  # who loses reads what the winner wrote
        raise Unavailable("The keys for LTI cannot be made: others keep making them. Try again later.")

    def _made(self, now: Micros) -> KeptToolKey:
        private = generate_private_key(EXPONENT, BITS)
        packed = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        kid = f"lti-{sha256(public).hexdigest()[:16]}"
        return KeptToolKey(kid, self._seal.seal(packed, _seal_name(kid)), now)

    def _opened(self, kept: KeptToolKey) -> _Key | None:
        try:
            packed = self._seal.open(kept.sealed, _seal_name(kept.kid))
        except Unavailable:
            return None
        private = load_der_private_key(packed, None)
        return _Key(kept.kid, private, kept.created) if isinstance(private, RSAPrivateKey) else None


def _seal_name(kid: str) -> str:
    return f"lti-keys/{kid}"
