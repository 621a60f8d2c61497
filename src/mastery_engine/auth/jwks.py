"""The public keys of an identity provider, read as a JSON Web Key Set (RFC 7517) from a URL.

They are read when a token first needs them, every few minutes, and when a token names an unknown key (after a
rotation), but not more often than every few seconds. If the set cannot be read, the last known keys stay in use. A
token whose key is known never waits for the provider.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Mapping
from typing import Any, TypeAlias

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mastery_engine.clock import Clock
from mastery_engine.domain.moments import MINUTE, SECOND, Micros
from mastery_engine.errors import Unavailable

logger = logging.getLogger(__name__)

FRESH: Micros = 5 * MINUTE
AGAIN: Micros = 10 * SECOND
PATIENCE_S = 5.0
LONGEST = 256 * 1024
MOST_KEYS = 100
MOST_WAITING = 50
# Checking a signature takes longer with each bit of the key and of its exponent.
SHORTEST_RSA, LONGEST_RSA = 2_048, 8_192
LARGEST_EXPONENT = 2**64

# One family of keys for each algorithm: a key is never used with another family's algorithm.
Family: TypeAlias = tuple[str, str | None]
FAMILIES: Mapping[str, Family] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}
AWAY = "Tokens cannot be checked: the keys at JWT_JWKS_URL cannot be read. Try again later."


class KeySet:
    """The keys at one URL. ``generation`` counts how often the set changed."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[tuple[str, Family], jwt.PyJWK] = {}
        self._source = b""
        self._asked: Micros | None = None
        self._read: Micros | None = None
        self._is_away = False
        self._reading: asyncio.Task[None] | None = None
        self._waiting = 0
        self._trust: ssl.SSLContext | None = None
        self.generation = 0

    def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key with this id for this algorithm; without an id, the only key for the algorithm. Else None."""
        family = FAMILIES[algorithm]
        if key_id is None:
            fitting = [key for (_, its_family), key in self._keys.items() if its_family == family]
            return fitting[0] if len(fitting) == 1 else None
        return self._keys.get((key_id, family))

    async def refresh(self, now: Micros) -> None:
        """Read the set again if that is due; a call only waits for the first set, and raises Unavailable without it."""
        if self._read is None:
            await self.read_again(now)
        self.keep_fresh(now)

    def keep_fresh(self, now: Micros) -> None:
        """Read the set again in the background, if there is one and that is due."""
        if self._read is not None and now >= self._read + FRESH:
            self._begin(now)

    async def read_again(self, now: Micros) -> None:
        """Read the set again, unless that was tried a moment ago; the call waits for the reading that is under way.

        Raises Unavailable if the last reading failed, and if many calls wait already: those that do not need the
        provider must find a place.
        """
        self._begin(now)
        if self._reading is not None:
            if self._waiting >= MOST_WAITING:
                raise Unavailable(AWAY)
            self._waiting += 1
            try:
                await asyncio.wait([self._reading])
            finally:
                self._waiting -= 1
        if self._is_away:
            raise Unavailable(AWAY)

    def _begin(self, now: Micros) -> None:
        if self._reading is None and (self._asked is None or now >= self._asked + AGAIN):
            self._asked, self._is_away = now, True
            self._reading = asyncio.create_task(self._read_set())

    async def _read_set(self) -> None:
        """Read the set, in a few seconds at most; if it cannot be read the known keys stay."""
        import httpx  # it takes a while to load, and most commands read no keys

        try:
            async with asyncio.timeout(PATIENCE_S):
                source = await self._fetch()
            self._take(source)
            self._is_away = False
        except (OSError, ValueError, RecursionError, httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) if type(error) is ValueError else type(error).__name__
            logger.warning("the keys at JWT_JWKS_URL cannot be read: %s", reason)
        finally:
            self._reading = None

    async def _fetch(self) -> bytes:
        import httpx

        if self._trust is None:
            self._trust = ssl.create_default_context()  # the system's authorities
        body = b""
        async with (
            httpx.AsyncClient(verify=self._trust, follow_redirects=False, timeout=PATIENCE_S) as client,
            client.stream("GET", self._url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"the status is {answer.status_code}; redirects are not followed")
            async for part in answer.aiter_raw():
                body += part
                if len(body) > LONGEST:
                    raise ValueError(f"the set has more than {LONGEST} bytes")
        return body

    def _take(self, source: bytes) -> None:
        """Use the keys of a set from now on; unusable keys are left out. Raises ValueError if this is not a key set."""
        if source != self._source or self._read is None:
            document = json.loads(source)
            rows = document.get("keys") if isinstance(document, dict) else None
            if not isinstance(rows, list) or len(rows) > MOST_KEYS:
                raise ValueError(f"it is no list of at most {MOST_KEYS} keys")
            self._keys = dict(filter(None, (_usable(place, row) for place, row in enumerate(rows))))
            self._source = source
            self.generation += 1
        self._read = self._clock()


def _usable(place: int, row: Any) -> tuple[tuple[str, Family], jwt.PyJWK] | None:
    """A key by its id (by its place in the set if it has none); None if it cannot check signatures of tokens."""
    if not isinstance(row, dict) or row.get("use", "sig") != "sig" or "d" in row or "k" in row:
        return None
    family = (row.get("kty"), None if row.get("kty") == "RSA" else row.get("crv"))
    algorithm = next((name for name, its_family in FAMILIES.items() if its_family == family), None)
    if algorithm is None or row.get("alg", algorithm) != algorithm:
        return None
    try:
        if "verify" not in row.get("key_ops", ["verify"]):
            return None
        key = jwt.PyJWK(row, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithm == "RS256" and not _is_fit(key.key):
        return None
    key_id = row.get("kid")
    return (key_id if isinstance(key_id, str) else f"#{place}", FAMILIES[algorithm]), key


def _is_fit(key: RSAPublicKey) -> bool:
    """Whether a key is long enough to be safe, and short enough to be quick."""
    return SHORTEST_RSA <= key.key_size <= LONGEST_RSA and key.public_numbers().e < LARGEST_EXPONENT
