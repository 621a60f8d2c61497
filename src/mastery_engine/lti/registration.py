"""Dynamic Registration 1.0: what a platform says of itself, and what this tool asks to be registered as."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mastery_engine.errors import InvalidInput, LaunchRefused
from mastery_engine.lti.claims import CHOICE, PAGE, RESOURCE
from mastery_engine.lti.grades import LINE_ITEM_SCOPE, SCORE_SCOPE
from mastery_engine.lti.memberships import SCOPE
from mastery_engine.lti.messages import KEYS_PATH, LAUNCH_PATH, LOGIN_PATH, TITLES
from mastery_engine.lti.platforms import LtiPlatform, checked_url

TOOL = "https://purl.imsglobal.org/spec/lti-tool-configuration"
NAME = "Mastery Engine"


def platform_in(
    document: Any, url: str, *, tenant: str, course_id: str | None, check: Any = checked_url
) -> tuple[LtiPlatform, str]:
    """The platform that its OpenID configuration describes, without a client id yet, and where it registers tools.

    Raises LaunchRefused.
    """
    said: Mapping[str, Any] = document if isinstance(document, Mapping) else {}
    try:
        addresses = {
            name: check(_said(said, name), name)
            for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint")
        }
    except InvalidInput as error:
        raise LaunchRefused("registration", f"The platform's configuration cannot be used: {error.message}") from None
    if urlsplit(addresses["issuer"]).hostname != urlsplit(url).hostname:
        raise LaunchRefused(
            "registration", "The platform's configuration cannot be used: it stands at another host than its issuer's."
        )
    audience = said.get("authorization_server")
    platform = LtiPlatform(
        addresses["issuer"],
        "",
        tenant,
        addresses["authorization_endpoint"],
        addresses["token_endpoint"],
        addresses["jwks_uri"],
        course_id=course_id,
        token_audience=audience if isinstance(audience, str) and 0 < len(audience) <= 2_000 else None,
    )
    return platform, addresses["registration_endpoint"]


def _said(document: Mapping[str, Any], name: str) -> str:
    said = document.get(name)
    if not isinstance(said, str):
        raise InvalidInput(f"it has no {name}.", field=name)
    return said


def tool_document(our_url: str) -> dict[str, Any]:
    """What this tool asks to be registered as."""
    launch = f"{our_url}{LAUNCH_PATH}"
    return {
        "application_type": "web",
        "response_types": ["id_token"],
        "grant_types": ["implicit", "client_credentials"],
        "initiate_login_uri": f"{our_url}{LOGIN_PATH}",
        "redirect_uris": [launch],
        "client_name": NAME,
        "client_uri": our_url,
        "jwks_uri": f"{our_url}{KEYS_PATH}",
        "token_endpoint_auth_method": "private_key_jwt",  # nosec B105
        "scope": f"{LINE_ITEM_SCOPE} {SCORE_SCOPE} {SCOPE}",
        TOOL: {
            "domain": urlsplit(our_url).netloc,
            "description": "What each student knows, and what to do next.",
            "target_link_uri": launch,
            "claims": ["iss", "sub", "name", "given_name", "family_name"],
            "custom_parameters": {},
            "messages": [
                {
                    "type": RESOURCE,
                    "target_link_uri": launch,
                    "label": TITLES["progress"],
                    "custom_parameters": {PAGE: "progress"},
                },
                {"type": CHOICE, "target_link_uri": launch, "label": f"Choose a page of {NAME}"},
            ],
        },
    }


def registered(platform: LtiPlatform, answer: Any) -> LtiPlatform:
    """The platform as it registered this tool. Raises LaunchRefused."""
    said: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
    client_id = said.get("client_id")
    tool = said.get(TOOL)
    deployment = tool.get("deployment_id") if isinstance(tool, Mapping) else None
    if isinstance(client_id, int):
        client_id = str(client_id)
    if not isinstance(client_id, str) or not 1 <= len(client_id) <= 255 or not client_id.isprintable():
        raise LaunchRefused("registration", "The platform did not say under which client id it registered this tool.")
    deployments = (deployment,) if isinstance(deployment, str) and 1 <= len(deployment) <= 255 else ()
    return LtiPlatform(
        platform.issuer,
        client_id,
        platform.tenant,
        platform.auth_url,
        platform.token_url,
        platform.jwks_url,
        deployments,
        platform.course_id,
        platform.token_audience,
    )
