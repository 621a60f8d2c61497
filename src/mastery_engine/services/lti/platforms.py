"""The platforms that may launch this tool: added and removed by operators, found by their issuer and our client id."""

from collections.abc import Sequence

import msgspec
from cachetools import LRUCache

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import Conflict, InvalidInput, LaunchRefused, NotFound
from mastery_engine.lti.platforms import (
    MOST_DEPLOYMENTS,
    LtiPlatform,
    checked_url,
    issuer_key,
    origin_of,
    pack_platform,
    platform_key,
    unpack_platform,
)
from mastery_engine.outbound.public_http import PublicHttp
from mastery_engine.ports.registry import Entry, RegistryStore, RegistryWrite
from mastery_engine.responses.lti import LtiPlatformEntry, platform_entry
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit

CACHED_FOR: Micros = 2 * SECOND  # a platform that was removed elsewhere launches for so long
MOST_CACHED = 1_000
MOST_OF_ISSUER, MOST_FRAMERS = 100, 50
CALLED_BY_US = ("token_url", "jwks_url")  # the browser goes to the third
PAGE = 200
MAX_ROUNDS = 20


class LtiPlatforms:
    """Adds, lists, removes and finds platforms."""

    def __init__(
        self,
        registry: RegistryStore,
        web: PublicHttp,
        access: AccessControl,
        audit: Audit,
        clock: Clock,
        *,
        allow_private: bool,
    ) -> None:
        """With ``allow_private`` addresses may be plain http (LTI_ALLOW_PRIVATE). ``web`` is how they are called."""
        self._registry = registry
        self._web = web
        self._access = access
        self._audit = audit
        self._clock = clock
        self._allow_private = allow_private
        self._cached: LRUCache[str, tuple[Micros, LtiPlatform | None]] = LRUCache(MOST_CACHED)

    def check_url(self, url: str, field: str) -> str:
        """An address of a platform. Raises InvalidInput."""
        checked_url(url, field)
        if not url.startswith("https://") and not self._allow_private:
            raise InvalidInput(f"{field} must be an https address; LTI_ALLOW_PRIVATE=true allows http.", field=field)
        return url

    async def check_called(self, platform: LtiPlatform) -> None:
        """Raises InvalidInput if an address that this service calls itself is one that it never calls."""
        for name in CALLED_BY_US:
            try:
                await self._web.check(getattr(platform, name))
            except InvalidInput as refused:
                raise InvalidInput(f"{name}: {refused.message}", field=name) from None

    async def add(self, caller: Caller, platform: LtiPlatform) -> LtiPlatformEntry:
        """Let a platform launch, or set its addresses and add deployments where it is known already.

        Raises Forbidden, InvalidInput, and Conflict where another tenant has it, and Unavailable.
        """
        self._access.check_act(caller, Act.LTI, "add-lti-platform")
        wanted = self._checked(msgspec.structs.replace(platform, tenant=caller.tenant))
        await self.check_called(wanted)
        await self._audit.write(caller, "add-lti-platform", [None])
        for _ in range(MAX_ROUNDS):
            now = caller.moment(self._clock)
            entry = await self._entry(wanted.key, now)
            after = wanted if entry is None else _joined(unpack_platform(entry.value), wanted)
            if entry is None:
                after = msgspec.structs.replace(after, created=now)
            if await self._write(after, 0 if entry is None else entry.version, now):
                return platform_entry(after)
        raise Conflict("Others changed this platform at the same time: try again.")

    async def add_new(self, platform: LtiPlatform, now: Micros) -> bool:
        """Let a platform launch that registered itself; False where it is known already.

        Raises InvalidInput and Unavailable.
        """
        return await self._write(msgspec.structs.replace(self._checked(platform), created=now), 0, now)

    async def bind(self, platform: LtiPlatform, deployment_id: str, now: Micros) -> LtiPlatform:
        """The platform with its first deployment, where none was named before. Raises LaunchRefused, Unavailable."""
        entry = await self._entry(platform.key, now)
        if entry is None:
            raise _unknown()
        held = unpack_platform(entry.value)
        if held.deployments:
            return held
        bound = msgspec.structs.replace(held, deployments=(deployment_id,))
        if await self._write(bound, entry.version, now):
            return bound
        return await self.find(platform.issuer, platform.client_id, now)

    async def all(self, caller: Caller) -> list[LtiPlatformEntry]:
        """The platforms of all tenants, for an operator. Raises Forbidden and Unavailable."""
        self._access.check_act(caller, Act.LTI, "list-lti-platforms")
        self._audit.note(caller, "list-lti-platforms", None, allowed=True)
        found: list[LtiPlatform] = []
        after = ""
        while True:
            page = await self._registry.page("lti-platforms", "", after, PAGE, caller.moment(self._clock))
            found += [unpack_platform(entry.value) for entry in page]
            if len(page) < PAGE:
                return [
                    platform_entry(one)
                    for one in sorted(found, key=lambda one: (one.tenant, one.issuer, one.client_id))
                ]
            after = page[-1].key

    async def remove(self, caller: Caller, issuer: str, client_id: str) -> LtiPlatformEntry:
        """Let a platform launch no more, of whichever tenant: within seconds its open sessions end, too.

        Raises Forbidden, NotFound and Unavailable.
        """
        self._access.check_act(caller, Act.LTI, "remove-lti-platform")
        now = caller.moment(self._clock)
        key = platform_key(issuer, client_id)
        entry = await self._entry(key, now)
        if entry is None:
            raise NotFound("There is no such platform: `mastery-engine lti list` lists them.")
        held = unpack_platform(entry.value)
        await self._audit.write(msgspec.structs.replace(caller, tenant=held.tenant), "remove-lti-platform", [None])
        await self._registry.write("lti-platforms", [RegistryWrite(key, None)], now)
        self._cached.pop(key, None)
        return platform_entry(held)

    async def find(self, issuer: str, client_id: str, now: Micros) -> LtiPlatform:
        """A platform as it was a few seconds ago at most. Raises LaunchRefused and Unavailable."""
        found = await self.known(platform_key(issuer, client_id), now)
        if found is None:
            raise _unknown()
        return found

    async def known(self, key: str, now: Micros) -> LtiPlatform | None:
        """The platform of a key, if there is one still; as it was a few seconds ago at most. Raises Unavailable."""
        cached = self._cached.get(key)
        if cached is not None and abs(now - cached[0]) < CACHED_FOR:
            return cached[1]
        entry = await self._entry(key, now)
        found = None if entry is None else unpack_platform(entry.value)
        self._cached[key] = (now, found)
        return found

    async def asked_for(
        self, issuer: str, client_id: str | None, deployment_id: str | None, now: Micros
    ) -> LtiPlatform:
        """The platform that begins a sign-in, which need not say its client id. Raises LaunchRefused, Unavailable."""
        if client_id is not None:
            return await self.find(issuer, client_id, now)
        found = await self._of_issuer(issuer, now)
        if deployment_id is not None and len(found) > 1:
            found = [one for one in found if deployment_id in one.deployments]
        if len(found) > 1:
            raise LaunchRefused(
                "issuer", "The learning platform did not say its client_id, and several of its clients are known here."
            )
        if not found:
            raise _unknown()
        return found[0]

    async def framers_of(self, issuer: str, now: Micros) -> tuple[str, ...]:
        """Who may show a refusal in a frame: the pages of an issuer's platforms that are known. Raises Unavailable."""
        found = await self._of_issuer(issuer, now) if issuer else []
        return tuple(dict.fromkeys([origin for one in found for origin in one.framers]))[:MOST_FRAMERS]

    async def _of_issuer(self, issuer: str, now: Micros) -> list[LtiPlatform]:
        page = await self._registry.page("lti-platforms", issuer_key(issuer), "", MOST_OF_ISSUER, now)
        return [unpack_platform(entry.value) for entry in page]

    def _checked(self, platform: LtiPlatform) -> LtiPlatform:
        """Raises InvalidInput."""
        for name, text in (
            ("issuer", platform.issuer),
            ("client_id", platform.client_id),
            *_numbered(platform.deployments),
        ):
            if not 1 <= len(text) <= 255 or not text.isprintable() or text != text.strip():
                raise InvalidInput(
                    f"{name} must have 1 to 255 printable characters, and no blanks around it.", field=name
                )
        for name in ("auth_url", "token_url", "jwks_url"):
            self.check_url(getattr(platform, name), name)
        for origin in platform.origins:
            if origin_of(origin) != origin:
                raise InvalidInput(
                    f"A page's origin is written as in https://lms.example.edu, not {origin[:100]!r}.", field="origins"
                )
        return platform

    async def _entry(self, key: str, now: Micros) -> Entry | None:
        (entry,) = await self._registry.find("lti-platforms", [key], now)
        return entry

    async def _write(self, platform: LtiPlatform, expected: int, now: Micros) -> bool:
        write = RegistryWrite(platform.key, pack_platform(platform), expected=expected)
        (done,) = await self._registry.write("lti-platforms", [write], now)
        self._cached.pop(platform.key, None)
        return done


def _numbered(deployments: Sequence[str]) -> list[tuple[str, str]]:
    return [("deployment_id", one) for one in deployments]


def _joined(held: LtiPlatform, wanted: LtiPlatform) -> LtiPlatform:
    """What is held, with the addresses that are wanted now, and all deployments. Raises Conflict and InvalidInput."""
    if held.tenant != wanted.tenant:
        raise Conflict(
            "This platform is connected to another tenant: remove it there first, by `mastery-engine lti remove`."
        )
    deployments = tuple(dict.fromkeys([*held.deployments, *wanted.deployments]))
    if len(deployments) > MOST_DEPLOYMENTS:
        raise InvalidInput(f"A platform has at most {MOST_DEPLOYMENTS} deployments.", field="deployment_id")
    return msgspec.structs.replace(
        wanted,
        deployments=deployments,
        course_id=wanted.course_id or held.course_id,
        token_audience=wanted.token_audience or held.token_audience,
        origins=tuple(dict.fromkeys([*held.origins, *wanted.origins])),
        created=held.created,
    )


def _unknown() -> LaunchRefused:
    return LaunchRefused(
        "issuer",
        "The learning platform is not known here: its administrator adds it by `mastery-engine lti add`, or registers "
        "it by an invitation.",
    )
