"""The sessions of people who were launched: kept in the store, for all replicas, until they end or their platform goes.

A session's token is in the browser alone; the store has its hash. It opens the dashboard's pages and nothing else.
"""

from collections.abc import Callable
from hashlib import sha256

import msgspec

from mastery_engine.auth.access import Caller, Role
from mastery_engine.domain.moments import DAY, MINUTE, Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unauthenticated
from mastery_engine.lti.roles import LtiRole
from mastery_engine.ports.registry import RegistryStore, RegistryWrite
from mastery_engine.services.lti.platforms import LtiPlatforms

BEGINNING = "lts_"
LIVES: Micros = 8 * 60 * MINUTE
REMEMBERED: Micros = DAY  # after its end, so that the page that says so can be shown where the session was
ENDED = "Your visit has ended: open the link in your course again."


class LaunchedSession(msgspec.Struct, frozen=True):
    """Who was launched, as what, and which pages may show theirs in a frame.

    ``cohort_id`` is an instructor's class. ``page`` is the address to begin at; ``again`` begins the sign-in once more,
    in a window of its own.
    """

    tenant: str
    student_id: str
    role: LtiRole
    cohort_id: str | None
    platform: str
    framers: tuple[str, ...]
    page: str
    again: str
    until: Micros = 0

    def caller(self, address: str, request_id: str, at: Micros) -> Caller:
        """The caller that this person is: a student, or a teacher of the one class."""
        role: Role = "teacher" if self.role == "instructor" else "student"
        cohorts = frozenset() if self.cohort_id is None or role == "student" else frozenset([self.cohort_id])
        return Caller(
            self.student_id, role, self.tenant, cohorts=cohorts, address=address, request_id=request_id, at=at
        )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LaunchedSession).decode


def is_launched(token: str) -> bool:
    """Whether a session's token is one of a launch."""
    return token.startswith(BEGINNING)


class LaunchedSessions:
    """Begins, finds and ends sessions."""

    def __init__(self, registry: RegistryStore, platforms: LtiPlatforms, new_secret: Callable[[], str]) -> None:
        self._registry = registry
        self._platforms = platforms
        self._new_secret = new_secret

    async def begin(self, session: LaunchedSession, now: Micros) -> str:
        """The token of a new session, which is durable. Raises Unavailable."""
        token = f"{BEGINNING}{self._new_secret()}"
        kept = msgspec.structs.replace(session, until=now + LIVES)
        write = RegistryWrite(
            _name(token),
            _encode(kept),
            expected=0,
            owner=StudentKey(session.tenant, session.student_id),
            expires=kept.until + REMEMBERED,
        )
        await self._registry.write("lti-once", [write], now)
        return token

    async def find(self, token: str, now: Micros) -> LaunchedSession:
        """The session of a token, even if it has ended. Raises Unauthenticated and Unavailable."""
        return await self.visited(visit_of(token), now)

    async def visited(self, visit: str, now: Micros) -> LaunchedSession:
        """The session that ``visit_of`` names, which lets nobody in. Raises Unauthenticated and Unavailable."""
        (entry,) = await self._registry.find("lti-once", [f"session/{visit[:64]}"], now)
        if entry is None:
            raise Unauthenticated(ENDED)
        return _decode(entry.value)

    async def check(self, session: LaunchedSession, now: Micros) -> None:
        """Raises Unauthenticated where a session has ended, by time or with its platform; and Unavailable."""
        if now >= session.until or await self._platforms.known(session.platform, now) is None:
            raise Unauthenticated(ENDED)

    async def end(self, token: str, now: Micros) -> None:
        """End a session. Raises Unavailable."""
        await self._registry.write("lti-once", [RegistryWrite(_name(token), None)], now)


def visit_of(token: str) -> str:
    """What an address may say of a session: who reads it there does not have the session."""
    return sha256(token.encode()).hexdigest()


def _name(token: str) -> str:
    return f"session/{visit_of(token)}"
