"""A platform that may launch this tool, and how it is found again."""

from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.errors import InvalidInput

LONGEST_URL = 2_000
MOST_DEPLOYMENTS = 1_000
MOST_ORIGINS = 20


class LtiPlatform(msgspec.Struct, frozen=True, omit_defaults=True):
    """A registration: ``client_id`` is ours at the platform whose ``issuer`` signs launches, of one tenant.

    ``deployments`` are the places in it that may launch; where it is empty, the first that does is the one. Classes
    of its contexts begin in ``course_id``. ``origins`` are pages of its own, besides those of its addresses, that may
    show ours in a frame.
    """

    issuer: str
    client_id: str
    tenant: str
    auth_url: str
    token_url: str
    jwks_url: str
    deployments: tuple[str, ...] = ()
    course_id: str | None = None
    token_audience: str | None = None
    origins: tuple[str, ...] = ()
    created: Micros = 0

    @property
    def key(self) -> str:
        """Under which the platform is kept."""
        return platform_key(self.issuer, self.client_id)

    @property
    def framers(self) -> tuple[str, ...]:
        """The origins of all its pages that may show ours in a frame."""
        found = [origin_of(self.issuer), origin_of(self.auth_url), *self.origins]
        return tuple(dict.fromkeys([one for one in found if one is not None]))


def platform_key(issuer: str, client_id: str) -> str:
    """The key of a platform, which begins as those of its issuer do. Nobody else chooses its characters."""
    return f"{issuer_key(issuer)}{sha256(client_id.encode()).hexdigest()[:32]}"


def issuer_key(issuer: str) -> str:
    """How the keys of an issuer's platforms begin."""
    return f"{sha256(issuer.encode()).hexdigest()[:32]}/"


def origin_of(url: str) -> str | None:
    """The origin of an address of the web, as a policy for frames names it; None where it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or not _is_host(host):
        return None
    shown = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown}{'' if port in (None, usual) else f':{port}'}"


def _is_host(host: str) -> bool:
    return host.isascii() and all(one.isalnum() or one in ".-:_" for one in host)


def checked_url(url: str, field: str) -> str:
    """An address of the web. Raises InvalidInput, which names the field."""
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url or origin_of(url) is None:
        raise InvalidInput(f"{field} must be an https address of at most {LONGEST_URL} characters.", field=field)
    if "#" in url or "@" in urlsplit(url).netloc:
        raise InvalidInput(
            f"{field} must be an address without a fragment and without a name or password.", field=field
        )
    return url


def pack_platform(platform: LtiPlatform) -> bytes:
    """A platform as it is kept."""
    return msgspec.msgpack.encode(platform)


def unpack_platform(packed: bytes) -> LtiPlatform:
    return msgspec.msgpack.decode(packed, type=LtiPlatform)
