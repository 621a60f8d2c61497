"""The public keys of an identity provider, read as a JSON Web Key Set (RFC 7517) from a URL.

They are read when a token first needs them, every few minutes, and when a token names an unknown key (after a
rotation), but not more often than every few seconds. If the set cannot be read, or has keys of which none can be used,
the last known keys stay in use. A token whose key is known never waits for the provider.
"""

import asyncio
import json
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

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
Key: TypeAlias = tuple[tuple[str, Family], jwt.PyJWK]
NO_SIGNATURES = "not for signatures"
OUR_SETTING = "JWT_JWKS_URL"


class KeySet:
    """The keys at one URL. ``generation`` counts how often the set changed."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        setting: str = OUR_SETTING,
        most_waiting: int = MOST_WAITING,
        read: Callable[[str], Awaitable[bytes]] | None = None,
    ) -> None:
        """At most ``most_waiting`` calls wait for a slow provider: each holds the place of a call meanwhile.

        ``setting`` is the one that has the URL, for messages. ``read`` gives the body at an address that others chose,
        which may need care; it raises Unavailable.
        """
        self._read_body = read or self._fetched
        self._setting = setting
        self._url = url
        self._most_waiting = most_waiting
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
            if self._waiting >= self._most_waiting:
                raise self._away()
            self._waiting += 1
            try:
                await asyncio.wait([self._reading])
            finally:
                self._waiting -= 1
        if self._is_away:
            raise self._away()

    def _away(self) -> Unavailable:
        return Unavailable(f"Tokens cannot be checked: the keys at {self._setting} cannot be read. Try again later.")

    def _begin(self, now: Micros) -> None:
        if self._reading is None and (self._asked is None or now >= self._asked + AGAIN):
            self._asked, self._is_away = now, True
            self._reading = asyncio.create_task(self._read_set())

    async def _read_set(self) -> None:
        """Read the set, in a few seconds at most; if it cannot be read the known keys stay."""
        try:
            self._take(await self._read_body(self._url))
            self._is_away = False
        except Unavailable as error:
            logger.warning(
                "the keys at %s cannot be used, so that those known before stay: %s", self._setting, error.message
            )
        finally:
            self._reading = None

    async def _fetched(self, url: str) -> bytes:
        if self._trust is None:
            self._trust = system_trust()
        return (await fetch(url, self._trust)).body

    def _take(self, source: bytes) -> None:
        """Use the keys of a set from now on. Raises Unavailable if it is none, or has keys and none can be used."""
        if source != self._source or self._read is None:
            published = keys_in(source)
            if published.left_out and not published.keys:
                raise Unavailable(f"it has no key that can be used: {published.reasons}")
            self._keys = published.keys
            self._source = source
            self.generation += 1
            published.log(self._setting)
        self._read = self._clock()


class PublishedKeys(NamedTuple):
    """The keys of a set that can be used, and how many cannot, by the reason."""

    keys: dict[tuple[str, Family], jwt.PyJWK]
    left_out: Counter[str]

    @property
    def reasons(self) -> str:
        """Why keys were left out."""
        return ", ".join(f"{count} {'is' if count == 1 else 'are'} {reason}" for reason, count in self.left_out.items())

    def log(self, setting: str) -> None:
        """Say what was left out. Most providers also publish keys for encryption, which is no reason to warn."""
        if not self.keys:
            logger.warning("there are no keys at %s now: no token that they would check is taken", setting)
        if self.left_out:
            level = logging.INFO if self.left_out.keys() == {NO_SIGNATURES} else logging.WARNING
            usable, count = len(self.keys), self.left_out.total()
            logger.log(level, "keys at %s: %s in use, %s left out: %s", setting, usable, count, self.reasons)


class Fetched(NamedTuple):
    """What a URL answered, and its server's word on the time."""

    body: bytes
    date: str | None


def system_trust() -> ssl.SSLContext:
    """Trust in the authorities of this system."""
    return ssl.create_default_context()


async def fetch(url: str, trust: ssl.SSLContext) -> Fetched:
    """The body at a URL. Raises Unavailable, with the reason, if it is not there within seconds, or is too large."""
    import httpx  # it takes a while to load, and most commands read no keys

    body = b""
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            httpx.AsyncClient(verify=trust, follow_redirects=False, timeout=PATIENCE_S) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status_code != 200:
                raise Unavailable(f"the status is {answer.status_code}; redirects are not followed")
            async for part in answer.aiter_raw():
                body += part
                if len(body) > LONGEST:
                    raise Unavailable(f"the set has more than {LONGEST} bytes")
            return Fetched(body, answer.headers.get("date"))
    except (TimeoutError, httpx.TimeoutException):
        raise Unavailable(f"the server has not answered within {PATIENCE_S:g} s") from None
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise Unavailable("the server's certificate is not trusted by this system") from error
        raise Unavailable("the server does not answer") from error
    except (OSError, ValueError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable("the server's answer broke off or is no HTTP") from error


def keys_in(source: bytes) -> PublishedKeys:
    """The keys in a set. Raises Unavailable, with the reason, if this is no key set."""
    try:
        document = json.loads(source)
    except (ValueError, RecursionError):  # also numbers of thousands of digits
        raise Unavailable("it is not JSON that can be read") from None
    rows = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(rows) > MOST_KEYS:
        raise Unavailable(f"it is no list of at most {MOST_KEYS} keys")
    keys: dict[tuple[str, Family], jwt.PyJWK] = {}
    left_out: Counter[str] = Counter()
    for place, row in enumerate(rows):
        usable = _usable(place, row)
        if isinstance(usable, str):
            left_out[usable] += 1
            continue
        if usable[0] in keys:
            left_out["named as a later one"] += 1
        keys[usable[0]] = usable[1]
    return PublishedKeys(keys, left_out)


def _usable(place: int, row: Any) -> Key | str:
    """A key by its id (by its place in the set if it has none), or why it cannot check signatures of tokens."""
    if not isinstance(row, dict):
        return "no key"
    if "d" in row or "k" in row:
        return "secret or private, and should not be published"
    if row.get("use", "sig") != "sig":
        return NO_SIGNATURES
    family = (row.get("kty"), None if row.get("kty") == "RSA" else row.get("crv"))
    algorithm = next((name for name, its_family in FAMILIES.items() if its_family == family), None)
    if algorithm is None or row.get("alg", algorithm) != algorithm:
        return f"for another algorithm than {', '.join(FAMILIES)}"
    try:
        if "verify" not in row.get("key_ops", ["verify"]):
            return NO_SIGNATURES
        key = jwt.PyJWK(row, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return "malformed"
    if algorithm == "RS256" and not _is_fit(key.key):
        return f"of RSA with fewer than {SHORTEST_RSA} or more than {LONGEST_RSA} bits, or a huge exponent"
    key_id = row.get("kid")
    return (key_id if isinstance(key_id, str) else f"#{place}", FAMILIES[algorithm]), key


def _is_fit(key: RSAPublicKey) -> bool:
    """Whether a key is long enough to be safe, and short enough to be quick."""
    return SHORTEST_RSA <= key.key_size <= LONGEST_RSA and key.public_numbers().e < LARGEST_EXPONENT
