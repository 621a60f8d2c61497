"""Dynamic Registration: a platform that holds an invitation registers this tool with itself, once."""

import json
from collections.abc import Callable
from hashlib import sha256

import msgspec

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.errors import Conflict, InvalidInput, LaunchRefused
from mastery_engine.lti.messages import REGISTER_PATH
from mastery_engine.lti.platforms import LtiPlatform, origin_of
from mastery_engine.lti.registration import platform_in, registered, tool_document
from mastery_engine.ports.registry import Entry, RegistryStore, RegistryWrite
from mastery_engine.responses.lti import LtiInvitation
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.lti.calls import JSON, PlatformCalls, PlatformFault
from mastery_engine.services.lti.platforms import LtiPlatforms
from mastery_engine.telemetry.metrics import Metrics

LIVES: Micros = 7 * DAY
LONGEST = 8_192


class Invited(msgspec.Struct, frozen=True):
    """What an invitation is for, and until when."""

    tenant: str
    course_id: str | None
    until: Micros = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Invited).decode


class Registrations:
    """Invites, and registers who was invited."""

    def __init__(
        self,
        registry: RegistryStore,
        platforms: LtiPlatforms,
        calls: PlatformCalls,
        access: AccessControl,
        audit: Audit,
        clock: Clock,
        new_secret: Callable[[], str],
        our_url: str | None,
        metrics: Metrics,
    ) -> None:
        self._registry = registry
        self._platforms = platforms
        self._calls = calls
        self._access = access
        self._audit = audit
        self._clock = clock
        self._new_secret = new_secret
        self._our_url = our_url
        self._metrics = metrics

    async def invite(self, caller: Caller, *, course_id: str | None = None) -> LtiInvitation:
        """An address that registers one platform for the caller's tenant, once, within a week.

        Raises Forbidden, Unavailable, and Conflict where PUBLIC_URL is not set.
        """
        self._access.check_act(caller, Act.LTI, "invite-lti-platform")
        if self._our_url is None:
            raise Conflict("Set PUBLIC_URL first, to the address by which browsers reach this service.")
        token, now = self._new_secret(), caller.moment(self._clock)
        await self._audit.write(caller, "invite-lti-platform", [None])
        invited = Invited(caller.tenant, course_id, now + LIVES)
        write = RegistryWrite(_name(token), _encode(invited), expected=0, expires=invited.until)
        await self._registry.write("lti-once", [write], now)
        return LtiInvitation(f"{self._our_url}{REGISTER_PATH}?invitation={token}")

    async def register(
        self, token: str, configuration_url: str, registration_token: str, *, address: str, request_id: str, at: Micros
    ) -> LtiPlatform:
        """The platform that registered this tool. Raises LaunchRefused and Unavailable."""
        entry = await self._invitation(token, at)
        invited = _decode(entry.value)
        caller = Caller("lti:register", "service", invited.tenant, address=address, request_id=request_id, at=at)
        try:
            platform = await self._registered(token, entry, invited, configuration_url, registration_token, at)
        except LaunchRefused:
            self._audit.note(caller, "register-lti-platform", None, allowed=False)
            raise
        await self._audit.write(caller, "register-lti-platform", [None])
        self._metrics.lti_launches.labels("registered").inc()
        return platform

    async def framers(self, token: str, configuration_url: str, now: Micros) -> tuple[str, ...]:
        """Who may show the page of a registration in a frame: the platform that holds an invitation."""
        origin = origin_of(configuration_url)
        (entry,) = await self._registry.find("lti-once", [_name(token)], now)
        return () if entry is None or origin is None else (origin,)

    async def _invitation(self, token: str, now: Micros) -> Entry:
        (entry,) = await self._registry.find("lti-once", [_name(token)], now)
        if entry is None:
            raise _closed()
        return entry

    async def _registered(
        self, token: str, entry: Entry, invited: Invited, url: str, registration_token: str, at: Micros
    ) -> LtiPlatform:
        if self._our_url is None:
            raise LaunchRefused("setting", "PUBLIC_URL is not set: the operator sets it first.")
        try:
            self._platforms.check_url(url, "openid_configuration")
        except InvalidInput as error:
            raise LaunchRefused("registration", error.message) from None
        if len(registration_token) > LONGEST or not registration_token.isprintable():
            raise LaunchRefused("registration", "The registration_token is too long, or is none.")
        document = await self._json("GET", url, "", None)
        described, registers_at = platform_in(
            document, url, tenant=invited.tenant, course_id=invited.course_id, check=self._platforms.check_url
        )
        try:
            await self._platforms.check_called(described)
        except InvalidInput as error:
            raise LaunchRefused("registration", error.message) from None
        used = RegistryWrite(_name(token), None, expected=entry.version)
        if not all(await self._registry.write("lti-once", [used], at)):
            raise _closed()
        try:
            answer = await self._json("POST", registers_at, registration_token, tool_document(self._our_url))
            platform = registered(described, answer)
            if not await self._platforms.add_new(platform, at):
                raise LaunchRefused("registration", "This platform is connected already, under this client id.")
        except BaseException:
            # Nothing was registered, so that the invitation may be used again, for as long as before.
            again = RegistryWrite(_name(token), entry.value, expected=0, expires=invited.until or at + DAY)
            await self._registry.write("lti-once", [again], at)
            raise
        return platform

    async def _json(self, method: str, url: str, token: str, body: object) -> object:
        headers = {"Accept": JSON} | ({"Authorization": f"Bearer {token}"} if token else {})
        content = None
        if body is not None:
            headers["Content-Type"], content = JSON, msgspec.json.encode(body)
        try:
            answer = await self._calls.ask(method, url, headers, content)
        except PlatformFault as error:
            raise LaunchRefused("registration", error.message) from None
        if not 200 <= answer.status < 300:
            raise LaunchRefused("registration", f"The platform answered {answer.status} where it registers tools.")
        try:
            found: object = json.loads(answer.body)
        except (ValueError, RecursionError):
            raise LaunchRefused("registration", "The platform's answer is not JSON that can be read.") from None
        return found


def _name(token: str) -> str:
    return f"invitation/{sha256(token.encode()).hexdigest()}"


def _closed() -> LaunchRefused:
    return LaunchRefused(
        "invitation",
        "Registration needs an invitation, which registers one platform once: this one was used, is too old, or is "
        "none. The operator makes one by `mastery-engine lti invite`.",
    )
