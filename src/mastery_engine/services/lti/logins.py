"""Sign-ins that a platform began: each has a state and a nonce that count once, on all replicas.

A sign-in belongs to the browser in which it began: that has a proof, in a cookie or in the platform's own storage. Who
sends another's launch to somebody's browser does not sign them in as that other.
"""

import hmac
from collections.abc import Callable
from hashlib import sha256

import msgspec

from mastery_engine.domain.moments import MINUTE, Micros
from mastery_engine.errors import LaunchRefused
from mastery_engine.lti.claims import SKEW, Launch, is_ours
from mastery_engine.lti.messages import LoginRequest, sign_in_url
from mastery_engine.lti.platforms import LtiPlatform
from mastery_engine.ports.registry import RegistryStore, RegistryWrite
from mastery_engine.services.lti.platforms import LtiPlatforms

LIVES: Micros = 10 * MINUTE


class Login(msgspec.Struct, frozen=True):
    """A sign-in that has begun: where the browser goes, and the proof that it keeps under ``name``."""

    url: str
    platform: LtiPlatform
    name: str
    proof: str


class PendingLogin(msgspec.Struct, frozen=True):
    """A sign-in as it is kept; ``version`` is the store's."""

    asked: LoginRequest
    client_id: str
    nonce: str
    proof_hash: bytes
    version: int = 0

    def is_proven(self, shown: str | None) -> bool:
        """Whether this is the proof that the browser was given."""
        return shown is not None and hmac.compare_digest(self.proof_hash, sha256(shown.encode()).digest())


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(PendingLogin).decode


class Logins:
    """Begins sign-ins, and ends each once."""

    def __init__(
        self, registry: RegistryStore, platforms: LtiPlatforms, new_secret: Callable[[], str], our_url: str | None
    ) -> None:
        """``our_url`` is PUBLIC_URL."""
        self._registry = registry
        self._platforms = platforms
        self._new_secret = new_secret
        self._our_url = our_url

    @property
    def our_url(self) -> str:
        """Our address as others see it. Raises LaunchRefused where nobody has set it."""
        if self._our_url is None:
            raise LaunchRefused(
                "setting",
                "PUBLIC_URL is not set: the operator sets it to the address by which browsers reach this service.",
            )
        return self._our_url

    async def begin(self, asked: LoginRequest, now: Micros) -> Login:
        """Begin a sign-in. Raises LaunchRefused and Unavailable."""
        if not is_ours(asked.target_link_uri, self.our_url):
            raise LaunchRefused(
                "target", "The link leads elsewhere: its target_link_uri is not an address of this service."
            )
        platform = await self._platforms.asked_for(asked.iss, asked.client_id, asked.lti_deployment_id, now)
        state, nonce, proof = self._new_secret(), self._new_secret(), self._new_secret()
        pending = PendingLogin(asked, platform.client_id, nonce, sha256(proof.encode()).digest())
        write = RegistryWrite(_state(state), _encode(pending), expected=0, expires=now + LIVES)
        await self._registry.write("lti-once", [write], now)
        return Login(
            sign_in_url(platform, asked, self.our_url, state=state, nonce=nonce), platform, proof_name(state), proof
        )

    async def pending(self, state: str, now: Micros) -> PendingLogin:
        """The sign-in of a state, which has not ended. Raises LaunchRefused and Unavailable."""
        (entry,) = await self._registry.find("lti-once", [_state(state)], now)
        if entry is None:
            raise _used()
        return msgspec.structs.replace(_decode(entry.value), version=entry.version)

    async def end(self, state: str, pending: PendingLogin, launch: Launch, now: Micros) -> None:
        """End a sign-in by its launch: who comes second, from wherever, is refused.

        Raises LaunchRefused and Unavailable.
        """
        nonce = sha256(msgspec.json.encode([pending.asked.iss, launch.nonce])).hexdigest()
        writes = [
            RegistryWrite(_state(state), None, expected=pending.version),
            RegistryWrite(f"nonce/{nonce}", b"", expected=0, expires=max(launch.expires + SKEW, now + LIVES)),
        ]
        if not all(await self._registry.write("lti-once", writes, now)):
            raise _used()


def check_nonce(launch: Launch, pending: PendingLogin) -> None:
    """Raises LaunchRefused where a launch was not made for this sign-in."""
    if not hmac.compare_digest(launch.nonce.encode(), pending.nonce.encode()):
        raise LaunchRefused(
            "nonce",
            "This launch was made for another sign-in, or has been used already: open the link in your course again.",
        )


def proof_name(state: str) -> str:
    """Under which name a browser keeps the proof of a sign-in; it tells nothing of the state."""
    return f"mastery_lti_{sha256(state.encode()).hexdigest()[:24]}"


def _state(state: str) -> str:
    return f"state/{sha256(state.encode()).hexdigest()}"


def _used() -> LaunchRefused:
    return LaunchRefused(
        "state", "This launch has been used already, or began too long ago: open the link in your course again."
    )
