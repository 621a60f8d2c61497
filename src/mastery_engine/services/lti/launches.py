"""Launches: from a platform's signed message to the session of whom it launched, and the page that this opens.

Identity is (issuer, ``sub``). Whose page and which class it is follows from the role and the context, which the
platform signs; nothing that a browser adds has a say.
"""

from urllib.parse import urlencode

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.auth.launch_tokens import claimed_issuer, signed_claims
from mastery_engine.domain.courses.course_key import DEFAULT_COURSE
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import InvalidInput, LaunchRefused
from mastery_engine.lti.claims import Launch, check_deployment, launch_of
from mastery_engine.lti.messages import LoginRequest
from mastery_engine.lti.platforms import LtiPlatform, origin_of
from mastery_engine.services.audit import Audit
from mastery_engine.services.lti.calls import PlatformCalls
from mastery_engine.services.lti.choices import LinkChoices
from mastery_engine.services.lti.classes import CALL, ContextClasses
from mastery_engine.services.lti.logins import Logins, PendingLogin, check_nonce
from mastery_engine.services.lti.people import KnownPerson, LtiPeople, LtiPerson
from mastery_engine.services.lti.platforms import LtiPlatforms
from mastery_engine.services.lti.rosters import ContextRosters
from mastery_engine.services.lti.sessions import LaunchedSession, LaunchedSessions, visit_of
from mastery_engine.telemetry.metrics import Metrics

HOME = "/dashboard"


class UnprovenLaunch(msgspec.Struct, frozen=True):
    """A launch that is valid, of which the browser has not shown that it began there; nothing of it is used yet."""

    asked: LoginRequest
    framers: tuple[str, ...]
    storage: str  # the origin of the platform's storage


class OpenedLaunch(msgspec.Struct, frozen=True):
    """A launch that counted: the new session's token, and who may show it in a frame.

    ``choice`` is there where a link is to be chosen: the token of that choice.
    """

    token: str
    framers: tuple[str, ...]
    choice: str | None = None

    @property
    def visit(self) -> str:
        """What an address may say of the session."""
        return visit_of(self.token)


class Launches:
    """Checks launches, and opens what they are for."""

    def __init__(
        self,
        logins: Logins,
        platforms: LtiPlatforms,
        calls: PlatformCalls,
        people: LtiPeople,
        classes: ContextClasses,
        rosters: ContextRosters,
        choices: LinkChoices,
        sessions: LaunchedSessions,
        audit: Audit,
        metrics: Metrics,
    ) -> None:
        self._logins = logins
        self._platforms = platforms
        self._calls = calls
        self._people = people
        self._classes = classes
        self._rosters = rosters
        self._choices = choices
        self._sessions = sessions
        self._audit = audit
        self._metrics = metrics

    async def open(
        self, token: str, state: str, proof: str | None, *, address: str, request_id: str, at: Micros
    ) -> OpenedLaunch | UnprovenLaunch:
        """Open what an id_token launches; ``proof`` is what the browser kept since the sign-in began.

        Raises LaunchRefused, which is on the audit trail where it is known for whose school it was meant, and
        Unavailable.
        """
        pending = await self._logins.pending(state, at)
        platform = await self._platforms.find(pending.asked.iss, pending.client_id, at)
        anybody = Caller(
            f"lti:{platform.key[:16]}", "service", platform.tenant, address=address, request_id=request_id, at=at
        )
        try:
            launch = await self._checked(token, pending, platform, at)
            framers = platform.framers
            if launch.origin is not None:
                framers = tuple(dict.fromkeys([*framers, launch.origin]))
            if not pending.is_proven(proof):
                return UnprovenLaunch(pending.asked, framers, origin_of(platform.auth_url) or "")
            await self._logins.end(state, pending, launch, at)
            if not platform.deployments:
                platform = await self._platforms.bind(platform, launch.deployment_id, at)
                check_deployment(platform, launch.deployment_id)
            opened = await self._opened(anybody, platform, launch, pending.asked, framers, at)
        except LaunchRefused:
            self._audit.note(anybody, CALL, None, allowed=False)
            raise
        self._metrics.lti_launches.labels("choice" if launch.choice else launch.role).inc()
        return opened

    async def framers_of(self, token: str, now: Micros) -> tuple[str, ...]:
        """Who may show a refusal of a launch in a frame: a platform that is known, if the launch names it."""
        return await self._platforms.framers_of(claimed_issuer(token), now)

    async def _checked(self, token: str, pending: PendingLogin, platform: LtiPlatform, at: Micros) -> Launch:
        claims = await signed_claims(token, self._calls.key_set(platform), at)
        launch = launch_of(claims, platform, self._logins.our_url, at)
        check_nonce(launch, pending)
        return launch

    async def _opened(
        self,
        anybody: Caller,
        platform: LtiPlatform,
        launch: Launch,
        asked: LoginRequest,
        framers: tuple[str, ...],
        at: Micros,
    ) -> OpenedLaunch:
        if launch.choice is not None:
            choice = await self._choices.begin(platform, launch, framers, at)
            self._audit.note(anybody, "lti-choice", None, allowed=True)
            return OpenedLaunch("", framers, choice)
        person = await self._person(anybody, platform, launch)
        acting = msgspec.structs.replace(anybody, subject=person.student_id, role="student")
        await self._audit.write(acting, CALL, [person.student_id])
        entered = await self._classes.enter(acting, platform, launch, person)
        if entered is None and launch.role == "instructor":
            raise LaunchRefused(
                "context",
                "This link stands in no course, so there is no class to show: open one that stands in a course.",
            )
        record, course_id = entered or (None, DEFAULT_COURSE)
        if record is not None:
            await self._rosters.read_soon(platform, record, at, waits=launch.role == "instructor")
        session = LaunchedSession(
            platform.tenant,
            person.student_id,
            launch.role,
            None if record is None else record.cohort_id,
            platform.key,
            framers,
            _page(launch, person, course_id),
            "" if asked.is_window else asked.again(self._logins.our_url),
        )
        return OpenedLaunch(await self._sessions.begin(session, at), framers)

    async def _person(self, anybody: Caller, platform: LtiPlatform, launch: Launch) -> KnownPerson:
        try:
            told = LtiPerson(launch.sub, launch.name, launch.language)
            (person,) = await self._people.known(anybody, CALL, platform.issuer, [told])
        except InvalidInput:
            raise LaunchRefused("claims", "The launch's sub cannot be the id of a person.") from None
        if person.is_erased:
            raise LaunchRefused(
                "erased",
                "Your data here was erased, and nothing of you is kept until your school records your consent anew: "
                "ask your teacher.",
            )
        return person


def _page(launch: Launch, person: KnownPerson, course_id: str) -> str:
    """Where a person begins: a learner at their own page, an instructor at their class."""
    query = "" if course_id == DEFAULT_COURSE else f"?{urlencode({'course_id': course_id})}"
    if launch.role == "instructor":
        return f"{HOME}{query}"
    return f"{HOME}/students/{person.student_id}{query}{'#h-next' if launch.page == 'next' else ''}"
