"""What this tool sends: the sign-in request, the claims by which it asks for a token, and the choice of a link."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.lti.claims import CLAIM, PAGE, VERSION, DeepLinking, PageName
from mastery_engine.lti.platforms import LtiPlatform

LOGIN_PATH, LAUNCH_PATH, KEYS_PATH, REGISTER_PATH = "/lti/login", "/lti/launch", "/lti/jwks", "/lti/register"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTED_S = 300
DL_CLAIM = "https://purl.imsglobal.org/spec/lti-dl/claim/"
TITLES: dict[PageName, str] = {"progress": "My progress", "class": "My class", "next": "My next exercise"}


class LoginRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a platform begins a sign-in (Security Framework 1.1, 5.1.1.1); ``is_window`` if it was begun again by us."""

    iss: str
    login_hint: str
    target_link_uri: str
    client_id: str | None = None
    lti_message_hint: str | None = None
    lti_deployment_id: str | None = None
    lti_storage_target: str | None = None
    is_window: bool = False

    def again(self, our_url: str) -> str:
        """The address that begins the same sign-in once more, in a window of its own."""
        named = {
            name: value
            for name, value in msgspec.structs.asdict(self).items()
            if isinstance(value, str) and name != "lti_storage_target"
        }
        return f"{our_url}{LOGIN_PATH}?{urlencode({**named, 'window': 'new'})}"


def sign_in_url(platform: LtiPlatform, asked: LoginRequest, our_url: str, *, state: str, nonce: str) -> str:
    """Where the browser asks the platform for a launch (Security Framework 1.1, 5.1.1.2)."""
    parts = {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": platform.client_id,
        "redirect_uri": f"{our_url}{LAUNCH_PATH}",
        "login_hint": asked.login_hint,
        "state": state,
        "nonce": nonce,
    }
    if asked.lti_message_hint is not None:
        parts["lti_message_hint"] = asked.lti_message_hint
    return with_query(platform.auth_url, parts)


def with_query(url: str, more: dict[str, str]) -> str:
    """An address with more in its query."""
    parts = urlsplit(url)
    query = "&".join([one for one in (parts.query, urlencode(more)) if one])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def assertion_claims(platform: LtiPlatform, now: Micros, jti: str) -> dict[str, Any]:
    """By what this tool shows who it is when it asks for an access token (Security Framework 1.1, 4.1.1)."""
    issued = now // SECOND
    return {
        "iss": platform.client_id,
        "sub": platform.client_id,
        "aud": platform.token_audience or platform.token_url,
        "iat": issued,
        "exp": issued + ASSERTED_S,
        "jti": jti,
    }


def choice_claims(
    platform: LtiPlatform,
    deployment_id: str,
    asked: DeepLinking,
    pages: Sequence[PageName],
    our_url: str,
    now: Micros,
    nonce: str,
) -> dict[str, Any]:
    """The links that somebody chose, for the platform (Deep Linking 2.0, 4.3); without pages, that they chose none."""
    issued = now // SECOND
    claims: dict[str, Any] = {
        "iss": platform.client_id,
        "aud": platform.issuer,
        "iat": issued,
        "exp": issued + ASSERTED_S,
        "nonce": nonce,
        f"{CLAIM}deployment_id": deployment_id,
        f"{CLAIM}message_type": "LtiDeepLinkingResponse",
        f"{CLAIM}version": VERSION,
        f"{DL_CLAIM}content_items": [
            {
                "type": "ltiResourceLink",
                "title": TITLES[page],
                "url": f"{our_url}{LAUNCH_PATH}",
                "custom": {PAGE: page},
            }
            for page in pages
        ],
    }
    return claims if asked.data is None else {**claims, f"{DL_CLAIM}data": asked.data}
