"""What a launch says, once its signature was checked: whether it is for us, whom it launches, and where.

See LTI Core 1.3 (5.3, 5.4) and the 1EdTech Security Framework 1.1 (5.1.3).
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from mastery_engine.domain.given_ids import NOT_ALLOWED, normal_id
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import InvalidInput, LaunchRefused
from mastery_engine.lti.platforms import LtiPlatform, origin_of
from mastery_engine.lti.roles import LtiRole, role_of

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
DEEP_LINKING = "https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"
MEMBERSHIPS = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
GRADES = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
VERSION = "1.3.0"
RESOURCE, CHOICE = "LtiResourceLinkRequest", "LtiDeepLinkingRequest"
PAGE = "mastery_page"  # the custom parameter of a link that we made: which page it opens, and not whose
SKEW: Micros = 60 * SECOND
OLDEST: Micros = 60 * 60 * SECOND  # a launch that was made so long ago was kept by somebody
LATEST_S = 253_402_300_799
LONGEST, LONGEST_NAME, LONGEST_TITLE, LONGEST_URL = 255, 200, 100, 2_000
MOST_SCOPES = 20

Claims: TypeAlias = Mapping[str, Any]
PageName: TypeAlias = Literal["progress", "class", "next"]


class LtiContext(msgspec.Struct, frozen=True):
    """The course or section of the platform in which a link stands."""

    id: str
    title: str


class GradeEndpoint(msgspec.Struct, frozen=True):
    """Where scores go: ``line_item`` is that of the launched link, if it has one; ``line_items`` lists all of ours."""

    line_item: str | None
    line_items: str | None
    scopes: tuple[str, ...]


class DeepLinking(msgspec.Struct, frozen=True):
    """What a platform wants to be sent back where somebody chooses a link; ``data`` as it sent it."""

    return_url: str
    data: Any
    accepts_links: bool
    accepts_many: bool


class Launch(msgspec.Struct, frozen=True):
    """A launch that is valid and for us."""

    sub: str
    role: LtiRole
    deployment_id: str
    nonce: str
    expires: Micros
    name: str | None = None
    language: str | None = None
    context: LtiContext | None = None
    link_id: str | None = None
    page: PageName = "progress"
    origin: str | None = None
    grades: GradeEndpoint | None = None
    memberships_url: str | None = None
    choice: DeepLinking | None = None


def launch_of(claims: Claims, platform: LtiPlatform, our_url: str, now: Micros) -> Launch:
    """The launch that claims say; their signature was checked. ``our_url`` is PUBLIC_URL. Raises LaunchRefused."""
    _check_audience(claims, platform)
    expires = _check_times(claims, now)
    if claims.get(f"{CLAIM}version") != VERSION:
        raise LaunchRefused("message", f"The launch is not of LTI {VERSION}: this service speaks no other version.")
    kind = claims.get(f"{CLAIM}message_type")
    if kind not in (RESOURCE, CHOICE):
        raise LaunchRefused(
            "message", f"The launch has a message type that is not known here: it must be {RESOURCE} or {CHOICE}."
        )
    deployment = _text(claims, f"{CLAIM}deployment_id", "deployment_id")
    check_deployment(platform, deployment)
    _check_target(claims, our_url, needed=kind == RESOURCE)
    roles = claims.get(f"{CLAIM}roles")
    if not isinstance(roles, list) or not all(isinstance(one, str) for one in roles):
        raise _missing("roles")
    link = claims.get(f"{CLAIM}resource_link")
    link_id = None if not isinstance(link, Mapping) else _optional(link, "id", LONGEST)
    if kind == RESOURCE and link_id is None:
        raise _missing("resource_link.id")
    return Launch(
        _text(claims, "sub", "sub: without it nobody can say who was launched"),
        role_of(roles),
        deployment,
        _text(claims, "nonce", "nonce"),
        expires,
        _name(claims),
        _language(claims),
        _context(claims),
        link_id,
        _page(claims),
        _shown_at(claims),
        _grades(claims),
        _memberships(claims),
        _choice(claims) if kind == CHOICE else None,
    )


def check_deployment(platform: LtiPlatform, deployment_id: str) -> None:
    """Raises LaunchRefused where a platform's deployments are known, and this is none of them."""
    if platform.deployments and deployment_id not in platform.deployments:
        raise LaunchRefused(
            "deployment",
            "This deployment of the tool is not known here: the administrator adds it by `mastery-engine lti add`, "
            "with its --deployment-id.",
        )


def cohort_id_of(platform: LtiPlatform, deployment_id: str, context_id: str) -> str:
    """The cohort of a context: the same for all its links, and no other's."""
    named = msgspec.json.encode([platform.issuer, platform.client_id, deployment_id, context_id])
    return f"lti-{sha256(named).hexdigest()[:32]}"


def _check_audience(claims: Claims, platform: LtiPlatform) -> None:
    if claims.get("iss") != platform.issuer:
        raise LaunchRefused("issuer", "The launch comes from another platform than the one that it began at.")
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    authorized = claims.get("azp")
    for_us = platform.client_id in named and authorized in (None, platform.client_id)
    if not for_us or (len(named) > 1 and authorized is None):
        raise LaunchRefused("audience", "The launch is for another tool: its aud or azp is not our client id.")


def _check_times(claims: Claims, now: Micros) -> Micros:
    expires, issued = _moment(claims, "exp"), _moment(claims, "iat")
    if expires + SKEW <= now:
        raise LaunchRefused("expired", "The launch has expired: open the link in your course again.")
    begins = _moment(claims, "nbf") if "nbf" in claims else issued
    if max(begins, issued) - SKEW > now:
        raise LaunchRefused(
            "expired", "The launch is not valid yet: the clock of the platform or of this service is wrong."
        )
    if issued + OLDEST <= now:
        raise LaunchRefused("expired", "The launch was made more than an hour ago: open the link in your course again.")
    return expires


def _moment(claims: Claims, name: str) -> Micros:
    said = claims.get(name)
    if type(said) not in (int, float) or not 0 <= said <= LATEST_S:  # type: ignore[operator]
        raise _missing(f"{name}, in seconds since 1970")
    return int(said * SECOND)  # type: ignore[operator]


def _check_target(claims: Claims, our_url: str, *, needed: bool) -> None:
    target = claims.get(f"{CLAIM}target_link_uri")
    if target is None and not needed:
        return
    if not isinstance(target, str) or not is_ours(target, our_url):
        raise LaunchRefused(
            "target", "The launch leads elsewhere: its target_link_uri is not an address of this service."
        )


def is_ours(url: str, our_url: str) -> bool:
    """Whether an address is one of this service."""
    ours, theirs = origin_of(our_url), origin_of(url)
    if ours is None or ours != theirs:
        return False
    path = urlsplit(our_url).path.rstrip("/")
    return urlsplit(url).path.startswith(f"{path}/") or urlsplit(url).path == path


def _missing(what: str) -> LaunchRefused:
    return LaunchRefused("claims", f"The launch is not complete: the platform did not send its {what}.")


def _text(claims: Claims, name: str, shown: str) -> str:
    text = _optional(claims, name, LONGEST)
    if text is None:
        raise _missing(shown)
    return text


def _optional(claims: Claims, name: str, longest: int) -> str | None:
    """A text that may be left out; one that is blank, too long or no text counts as left out."""
    said = claims.get(name)
    return said if isinstance(said, str) and said.strip() and len(said) <= longest and _is_sound(said) else None


def _is_sound(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character can be in JSON, but in no store
        return False
    return "\0" not in text


def _part(claims: Claims, name: str) -> Claims:
    said = claims.get(name)
    return said if isinstance(said, Mapping) else {}


def _name(claims: Claims) -> str | None:
    whole = _optional(claims, "name", LONGEST_NAME)
    if whole is not None:
        return whole
    parts = [_optional(claims, name, LONGEST_NAME // 2 - 1) for name in ("given_name", "family_name")]
    return " ".join([one for one in parts if one]) or None


def _language(claims: Claims) -> str | None:
    said = _optional(_part(claims, f"{CLAIM}launch_presentation"), "locale", 35) or _optional(claims, "locale", 35)
    return None if said is None else said.replace("_", "-")


def _context(claims: Claims) -> LtiContext | None:
    said = _part(claims, f"{CLAIM}context")
    context_id = _optional(said, "id", LONGEST)
    if context_id is None:
        return None
    title = _optional(said, "title", LONGEST_URL) or _optional(said, "label", LONGEST_URL) or "Class"
    return LtiContext(context_id, _class_name(title))


def _class_name(title: str) -> str:
    """A title as a class may be called: under another name no admin could set the class again."""
    try:
        return normal_id(NOT_ALLOWED.sub("", " ".join(title.split()))[:LONGEST_TITLE], "title", LONGEST_TITLE)
    except InvalidInput:
        return "Class"


def _page(claims: Claims) -> PageName:
    match _part(claims, f"{CLAIM}custom").get(PAGE):
        case "class":
            return "class"
        case "next":
            return "next"
    return "progress"


def _shown_at(claims: Claims) -> str | None:
    """The origin of the page that shows the launch, as the platform signs it."""
    said = _optional(_part(claims, f"{CLAIM}launch_presentation"), "return_url", LONGEST_URL)
    return None if said is None else origin_of(said)


def _grades(claims: Claims) -> GradeEndpoint | None:
    said = _part(claims, GRADES)
    scopes = said.get("scope")
    if not isinstance(scopes, list):
        return None
    named = tuple([one for one in scopes if isinstance(one, str) and len(one) <= LONGEST][:MOST_SCOPES])
    return GradeEndpoint(_address(said, "lineitem"), _address(said, "lineitems"), named)


def _memberships(claims: Claims) -> str | None:
    return _address(_part(claims, MEMBERSHIPS), "context_memberships_url")


def _address(said: Claims, name: str) -> str | None:
    url = _optional(said, name, LONGEST_URL)
    return url if url is not None and origin_of(url) is not None else None


def _choice(claims: Claims) -> DeepLinking:
    said = _part(claims, DEEP_LINKING)
    return_url = _address(said, "deep_link_return_url")
    if return_url is None:
        raise _missing("deep_linking_settings with a deep_link_return_url")
    types = said.get("accept_types")
    return DeepLinking(
        return_url,
        said.get("data"),
        isinstance(types, list) and "ltiResourceLink" in types,
        said.get("accept_multiple") is True,
    )
