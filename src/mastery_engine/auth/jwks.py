"""The public keys of an identity provider, read as a JSON Web Key Set (RFC 7517) from a URL.

They are read when a token first needs them, every few minutes, and when a token names an unknown key (after a
rotation), but not more often than every few seconds. If the set cannot be read, the last known keys stay in use.
"""

import asyncio
import json
import logging
import urllib.request
from collections.abc import Mapping
from typing import Any

import jwt

from mastery_engine.clock import Clock
from mastery_engine.domain.moments import MINUTE, SECOND, Micros
from mastery_engine.errors import Unavailable

logger = logging.getLogger(__name__)

FRESH: Micros = 5 * MINUTE
AGAIN: Micros = 10 * SECOND
PATIENCE_S = 5.0
LONGEST = 256 * 1024
MOST_KEYS = 100
SHORTEST_RSA = 2_048

# One family of keys for each algorithm: a key is never used with another family's algorithm.
FAMILIES: Mapping[str, tuple[str, str | None]] = {
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: keys come from the operator's URL and from nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class KeySet:
    """The keys at one URL. ``generation`` counts how often the set changed."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str, tuple[tuple[str, str | None], jwt.PyJWK]] = {}
        self._source = b""
        self._asked: Micros | None = None
        self._read: Micros | None = None
        self._lock = asyncio.Lock()
        self.generation = 0

    def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key with this id for this algorithm; without an id, the only key for the algorithm. Else None."""
        family = FAMILIES[algorithm]
        if key_id is None:
            fitting = [key for one, key in self._keys.values() if one == family]
            return fitting[0] if len(fitting) == 1 else None
        found, key = self._keys.get(key_id, (None, None))
        return key if found == family else None

    def is_stale(self, now: Micros) -> bool:
        """Whether the set should be read again."""
        return self._read is None or now >= self._read + FRESH

    async def refresh(self) -> None:
        """Read the set, unless that was tried a moment ago. Raises Unavailable if no set was ever read."""
        async with self._lock:
            now = self._clock()
            if self._asked is None or now >= self._asked + AGAIN:
                self._asked = now
                try:
                    self._take(await asyncio.to_thread(self._fetch))
                except (OSError, ValueError) as error:
                    logger.warning("the keys at JWT_JWKS_URL cannot be read: %s", type(error).__name__)
            if self._read is None:
                raise Unavailable("Tokens cannot be checked: the keys at JWT_JWKS_URL cannot be read. Try again later.")

    def _fetch(self) -> bytes:
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(self._url, timeout=PATIENCE_S) as answer:
            body: bytes = answer.read(LONGEST + 1)
        if len(body) > LONGEST:
            raise ValueError("the set is too long")
        return body

    def _take(self, source: bytes) -> None:
        """Use the keys of a set from now on; unusable keys are left out. Raises ValueError if this is not a key set."""
        if source != self._source or self._read is None:
            found = json.loads(source)
            rows = found.get("keys") if isinstance(found, dict) else None
            if not isinstance(rows, list) or len(rows) > MOST_KEYS:
                raise ValueError(f"no list of at most {MOST_KEYS} keys")
            self._keys = dict(filter(None, (_usable(place, row) for place, row in enumerate(rows))))
            self._source = source
            self.generation += 1
        self._read = self._clock()


def _usable(place: int, row: Any) -> tuple[str, tuple[tuple[str, str | None], jwt.PyJWK]] | None:
    """A key by its id (by its place in the set if it has none); None if it cannot check signatures of tokens."""
    if not isinstance(row, dict) or row.get("use", "sig") != "sig" or "d" in row or "k" in row:
        return None
    family = (row.get("kty"), None if row.get("kty") == "RSA" else row.get("crv"))
    algorithm = next((name for name, one in FAMILIES.items() if one == family), None)
    if algorithm is None or row.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(row, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if algorithm == "RS256" and key.key.key_size < SHORTEST_RSA:
        return None
    return str(row.get("kid", f"#{place}")), (FAMILIES[algorithm], key)
