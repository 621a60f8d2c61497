"""All that LTI needs, as one part of the engine."""

from dataclasses import dataclass

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.services.admission import Admission
from mastery_engine.services.lti.calls import PlatformCalls
from mastery_engine.services.lti.choices import LinkChoices
from mastery_engine.services.lti.classes import ContextClasses
from mastery_engine.services.lti.grades import GradeCalls
from mastery_engine.services.lti.keys import ToolKeys
from mastery_engine.services.lti.launches import Launches
from mastery_engine.services.lti.logins import Logins
from mastery_engine.services.lti.platforms import LtiPlatforms
from mastery_engine.services.lti.registrations import Registrations
from mastery_engine.services.lti.rosters import ContextRosters
from mastery_engine.services.lti.sessions import LaunchedSessions


@dataclass(frozen=True)
class LtiServices:
    """The services of LTI."""

    platforms: LtiPlatforms
    keys: ToolKeys
    logins: Logins
    launches: Launches
    choices: LinkChoices
    sessions: LaunchedSessions
    registrations: Registrations
    classes: ContextClasses
    rosters: ContextRosters
    calls: PlatformCalls
    grades: GradeCalls
    admission: Admission
    clock: Clock

    async def admitted(self, token: str) -> Caller:
        """Who was launched, by their session as it is now. Raises Unauthenticated and Unavailable."""
        now = self.clock()
        session = await self.sessions.find(token, now)
        await self.sessions.check(session, now)
        return await self.admission.with_named_cohorts(session.caller("", "", now))

    async def close(self) -> None:
        """End what is being read, and close connections."""
        await self.rosters.close()
        await self.calls.close()
