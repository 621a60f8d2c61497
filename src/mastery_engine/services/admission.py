"""Admission: from a bearer token to the caller, with rate limits and the students of a teacher's cohorts."""

from collections.abc import Callable
from functools import cache

import msgspec

from mastery_engine.auth.access import Caller
from mastery_engine.auth.credentials import PlatformCaller, Shown
from mastery_engine.auth.limits import Allowance, LimitKind, Limits
from mastery_engine.auth.tokens import Tokens
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import Micros
from mastery_engine.doors.names import Door
from mastery_engine.errors import Unauthenticated
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.credentials import Credentials


class Admission:
    """Admits callers by their tokens."""

    def __init__(
        self, tokens: Callable[[], Tokens], credentials: Credentials, cohorts: Cohorts, limits: Limits, clock: Clock
    ) -> None:
        """``tokens`` makes the token checker when it is first needed; a worker without HTTP never needs it."""
        self._tokens = cache(tokens)
        self._credentials = credentials
        self._cohorts = cohorts
        self._limits = limits
        self._clock = clock

    def prepare(self) -> None:
        """Make the token checker now. Raises StartRefused if that is impossible."""
        self._tokens()

    async def authenticate(self, token: str, *, at: Micros | None = None) -> Caller:
        """The caller of a token, with the students of a teacher's cohorts.

        Raises Unauthenticated, Forbidden for an unknown role, and Unavailable.
        """
        at = self._clock() if at is None else at
        caller = await self._tokens().authenticate(token, at)
        return await self.with_cohorts(msgspec.structs.replace(caller, at=at))

    async def authenticate_call(self, token: str, *, address: str, request_id: str, at: Micros) -> Caller:
        """The caller of a token, with the address; without the students of a teacher's cohorts.

        Raises Unauthenticated, which counts against the address, RateLimited if there were too many of these, and
        Forbidden for an unknown role.
        """
        try:
            caller = await self._tokens().authenticate(token, at)
        except Unauthenticated:
            await self.blame(address, at)
            raise
        return msgspec.structs.replace(caller, address=address, request_id=request_id, at=at)

    async def authenticate_platform(
        self, shown: Shown, door: Door, *, address: str, request_id: str, at: Micros
    ) -> PlatformCaller:
        """The platform that shows this key and secret at a door.

        Raises WrongCredential, which counts against the address, RateLimited if there were too many of these, Forbidden
        where the credential is for other doors, and Unavailable.
        """
        try:
            return await self._credentials.check(shown, door, address=address, request_id=request_id, at=at)
        except Unauthenticated:
            await self.blame(address, at)
            raise

    async def blame(self, address: str, at: Micros) -> None:
        """Count one more bad token from an address. Raises RateLimited if there were too many."""
        await self._limits.blame(address, at)

    async def take_launch(self, address: str, at: Micros) -> None:
        """Count one more call about a launch, of nobody who is known yet. Raises RateLimited if there were too many."""
        await self._limits.take_launch(address, at)

    async def take_link(self, address: str, at: Micros) -> None:
        """Count one more call by a badge's link, of nobody who is known. Raises RateLimited if there were too many."""
        await self._limits.take_link(address, at)

    async def take(self, caller: Caller, kind: LimitKind | None) -> Allowance | None:
        """Count one more call of a kind; None if this caller has no limit for it."""
        return await self._limits.take(caller, kind, caller.moment(self._clock))

    async def with_cohorts(self, caller: Caller) -> Caller:
        """The caller, with the members of a teacher's cohorts added to the students."""
        return await self._cohorts.with_members(caller)

    async def with_named_cohorts(self, caller: Caller) -> Caller:
        """The caller, with the members of the cohorts that a teacher's session names and of no others."""
        return await self._cohorts.with_named_members(caller)
