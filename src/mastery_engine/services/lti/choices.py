"""Deep Linking 2.0: somebody chooses which page of ours a link in their course opens."""

from collections.abc import Callable
from hashlib import sha256
from typing import get_args

import msgspec

from mastery_engine.domain.moments import MINUTE, Micros
from mastery_engine.errors import InvalidInput, LaunchRefused
from mastery_engine.lti.claims import DeepLinking, Launch, PageName
from mastery_engine.lti.messages import choice_claims
from mastery_engine.lti.platforms import LtiPlatform
from mastery_engine.ports.registry import RegistryStore, RegistryWrite
from mastery_engine.services.lti.keys import ToolKeys
from mastery_engine.services.lti.platforms import LtiPlatforms

LIVES: Micros = 60 * MINUTE
PAGES: tuple[PageName, ...] = get_args(PageName)


class PendingChoice(msgspec.Struct, frozen=True):
    """A choice that a platform asked for."""

    issuer: str
    client_id: str
    deployment_id: str
    asked: DeepLinking
    framers: tuple[str, ...]


class ChosenLink(msgspec.Struct, frozen=True):
    """What the browser takes back to the platform: a signed message, and where to."""

    return_url: str
    token: str
    framers: tuple[str, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(PendingChoice).decode


class LinkChoices:
    """Begins choices, and signs what was chosen, each once."""

    def __init__(
        self,
        registry: RegistryStore,
        platforms: LtiPlatforms,
        keys: ToolKeys,
        new_secret: Callable[[], str],
        our_url: str | None,
    ) -> None:
        self._registry = registry
        self._platforms = platforms
        self._keys = keys
        self._new_secret = new_secret
        self._our_url = our_url or ""

    async def begin(self, platform: LtiPlatform, launch: Launch, framers: tuple[str, ...], now: Micros) -> str:
        """The token of a choice that a launch asks for. Raises LaunchRefused and Unavailable."""
        asked = launch.choice
        if asked is None or not asked.accepts_links:
            raise LaunchRefused("choice", "The platform takes no links here: it must accept ltiResourceLink.")
        if launch.role != "instructor":
            raise LaunchRefused("choice", "Only who teaches a course may choose what its links open.")
        token = self._new_secret()
        pending = PendingChoice(platform.issuer, platform.client_id, launch.deployment_id, asked, framers)
        write = RegistryWrite(_name(token), _encode(pending), expected=0, expires=now + LIVES)
        await self._registry.write("lti-once", [write], now)
        return token

    async def choose(self, token: str, page: str, now: Micros) -> ChosenLink:
        """What is sent back for a choice. Raises InvalidInput, LaunchRefused and Unavailable."""
        chosen = [one for one in PAGES if one == page]
        if not chosen:
            raise InvalidInput(f"page must be one of {', '.join(PAGES)}.", field="page")
        (entry,) = await self._registry.find("lti-once", [_name(token)], now)
        if entry is None:
            raise self._used()
        pending = _decode(entry.value)
        platform = await self._platforms.find(pending.issuer, pending.client_id, now)
        (done,) = await self._registry.write(
            "lti-once", [RegistryWrite(_name(token), None, expected=entry.version)], now
        )
        if not done:
            raise self._used()
        claims = choice_claims(
            platform, pending.deployment_id, pending.asked, chosen, self._our_url, now, self._new_secret()
        )
        return ChosenLink(pending.asked.return_url, await self._keys.sign(claims, now), pending.framers)

    @staticmethod
    def _used() -> LaunchRefused:
        return LaunchRefused("choice", "This choice was made already, or an hour ago: begin again in your course.")


def _name(token: str) -> str:
    return f"choice/{sha256(token.encode()).hexdigest()}"
