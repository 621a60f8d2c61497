"""Calls to a platform's services, with access tokens that are asked for by a signed assertion and cached."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from cachetools import LRUCache

from mastery_engine.auth.jwks import KeySet
from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.moments import MINUTE, SECOND, Micros
from mastery_engine.errors import InvalidInput, Unavailable
from mastery_engine.lti.messages import ASSERTION_TYPE, assertion_claims
from mastery_engine.lti.platforms import LtiPlatform
from mastery_engine.outbound.public_http import HttpAnswer, PublicHttp
from mastery_engine.services.lti.keys import ToolKeys

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
PATIENCE_S, KEY_PATIENCE_S = 10.0, 5.0
MOST_ANSWERED, MOST_KEYS = 4 * 1024 * 1024, 256 * 1024
MOST_TOKENS, MOST_KEY_SETS = 1_000, 1_000
LONGEST_LIFE: Micros = 60 * MINUTE
EARLY: Micros = 30 * SECOND
LONGEST_TOKEN = 16_384


class PlatformFault(Unavailable):
    """A platform did not give what it must; ``status`` is that of its answer, 0 without one."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class AccessToken(msgspec.Struct, frozen=True):
    """A platform's token, and until when it is used."""

    value: str
    until: Micros


class PlatformCalls:
    """Calls platforms: their keys, their tokens, and what these open."""

    def __init__(self, web: PublicHttp, keys: ToolKeys, clock: Clock, new_id: NewId) -> None:
        self._web = web
        self._keys = keys
        self._clock = clock
        self._new_id = new_id
        self._tokens: LRUCache[tuple[str, str], AccessToken] = LRUCache(MOST_TOKENS)
        self._key_sets: LRUCache[str, KeySet] = LRUCache(MOST_KEY_SETS)

    def key_set(self, platform: LtiPlatform) -> KeySet:
        """The keys by which a platform signs."""
        known = self._key_sets.get(platform.jwks_url)
        if known is None:
            known = KeySet(platform.jwks_url, self._clock, setting="an LTI platform", read=self._key_body)
            self._key_sets[platform.jwks_url] = known
        return known

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
        most_bytes: int = MOST_ANSWERED,
        timeout_s: float = PATIENCE_S,
    ) -> HttpAnswer:
        """What an address of a platform answers, whatever it is. Raises PlatformFault where it is never called."""
        try:
            return await self._web.request(
                method, url, headers=headers, content=content, most_bytes=most_bytes, timeout_s=timeout_s
            )
        except InvalidInput as error:
            raise PlatformFault(f"An address of the platform cannot be called: {error.message}") from None
        except Unavailable as error:
            raise PlatformFault(f"The platform does not answer: {error.message}.") from None

    async def close(self) -> None:
        """Close the connections that are kept for the next call."""
        await self._web.close()

    async def _key_body(self, url: str) -> bytes:
        answer = await self.ask("GET", url, {"Accept": JSON}, most_bytes=MOST_KEYS, timeout_s=KEY_PATIENCE_S)
        if answer.status != 200:
            raise Unavailable(f"the status is {answer.status}; redirects are not followed")
        return answer.body

    async def call(
        self,
        platform: LtiPlatform,
        scopes: Sequence[str],
        method: str,
        url: str,
        now: Micros,
        *,
        accept: str = JSON,
        body: Any = None,
        content_type: str = JSON,
    ) -> HttpAnswer:
        """What a service of a platform answers to us; the token is asked for anew where it is refused.

        Raises PlatformFault where there is no answer of success, and Unavailable.
        """
        for attempt in (1, 2):
            token = await self.token(platform, scopes, now)
            headers = {"Authorization": f"Bearer {token}", "Accept": accept}
            content = None
            if body is not None:
                headers["Content-Type"], content = content_type, msgspec.json.encode(body)
            answer = await self.ask(method, url, headers, content)
            if answer.status == 401 and attempt == 1:
                self._tokens.pop(_name(platform, scopes), None)
                continue
            if not 200 <= answer.status < 300:
                raise PlatformFault(f"The platform answered {answer.status}.", answer.status)
            return answer
        raise AssertionError("unreachable")

    async def token(self, platform: LtiPlatform, scopes: Sequence[str], now: Micros) -> str:
        """A token for these scopes (Security Framework 1.1, 4.1). Raises PlatformFault and Unavailable."""
        name = _name(platform, scopes)
        cached = self._tokens.get(name)
        if cached is not None and now < cached.until:
            return cached.value
        assertion = await self._keys.sign(assertion_claims(platform, now, self._new_id()), now)
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            "scope": " ".join(sorted(scopes)),
        }
        headers = {"Content-Type": FORM, "Accept": JSON}
        answer = await self.ask("POST", platform.token_url, headers, urlencode(form).encode())
        if not 200 <= answer.status < 300:
            raise PlatformFault(f"The platform gave no access token, but answered {answer.status}.", answer.status)
        token = _token_in(json_in(answer), now)
        self._tokens[name] = token
        return token.value


def json_in(answer: HttpAnswer) -> Any:
    """The JSON of an answer. Raises PlatformFault."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise PlatformFault("The platform's answer is not JSON that can be read.", answer.status) from None


def _token_in(document: Any, now: Micros) -> AccessToken:
    said = document if isinstance(document, Mapping) else {}
    value, life = said.get("access_token"), said.get("expires_in", 0)
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_TOKEN or not value.isprintable() or " " in value:
        raise PlatformFault("The platform's answer has no access token.")
    seconds = float(life) if isinstance(life, int | float) else 0.0
    lives = min(int(max(0.0, min(seconds, 86_400.0)) * SECOND), LONGEST_LIFE)
    return AccessToken(value, now + lives - EARLY)


def _name(platform: LtiPlatform, scopes: Sequence[str]) -> tuple[str, str]:
    return platform.key, " ".join(sorted(scopes))
