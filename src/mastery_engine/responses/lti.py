"""The answers about LTI platforms."""

import msgspec

from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.moments import rfc3339
from mastery_engine.lti.platforms import LtiPlatform


class LtiPlatformEntry(msgspec.Struct, frozen=True):
    """A platform that may launch; without ``deployment_ids`` the first deployment that launches is the one."""

    issuer: str
    client_id: str
    deployment_ids: list[str]
    tenant: str
    course_id: str
    auth_url: str
    token_url: str
    jwks_url: str
    origins: list[str]
    created: str


class LtiInvitation(msgspec.Struct, frozen=True):
    """An address by which one platform registers itself once."""

    url: str


def platform_entry(platform: LtiPlatform) -> LtiPlatformEntry:
    return LtiPlatformEntry(
        platform.issuer,
        platform.client_id,
        list(platform.deployments),
        platform.tenant,
        platform.course_id or DEFAULT_COURSE,
        platform.auth_url,
        platform.token_url,
        platform.jwks_url,
        list(platform.framers),
        rfc3339(platform.created),
    )
