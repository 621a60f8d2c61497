"""The wiring of LTI: builds its services once, each with only what it needs, in the order of their dependencies."""

from collections.abc import Callable

from mastery_engine.auth.sealing import Seal
from mastery_engine.clock import Clock, NewId
from mastery_engine.outbound.public_http import PublicHttp
from mastery_engine.ports.registry import RegistryStore
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.admission import Admission
from mastery_engine.services.audit import Audit
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.courses import Courses
from mastery_engine.services.lti.calls import PlatformCalls
from mastery_engine.services.lti.choices import LinkChoices
from mastery_engine.services.lti.classes import ContextClasses
from mastery_engine.services.lti.grades import GradeCalls
from mastery_engine.services.lti.keys import ToolKeys
from mastery_engine.services.lti.launches import Launches
from mastery_engine.services.lti.logins import Logins
from mastery_engine.services.lti.people import LtiPeople
from mastery_engine.services.lti.platforms import LtiPlatforms
from mastery_engine.services.lti.registrations import Registrations
from mastery_engine.services.lti.rosters import ContextRosters
from mastery_engine.services.lti.services import LtiServices
from mastery_engine.services.lti.sessions import LaunchedSessions
from mastery_engine.services.profiles import Profiles
from mastery_engine.telemetry.metrics import Metrics


def lti_services(
    registry: RegistryStore,
    profiles: Profiles,
    cohorts: Cohorts,
    courses: Courses,
    access: AccessControl,
    audit: Audit,
    admission: Admission,
    clock: Clock,
    new_id: NewId,
    new_secret: Callable[[], str],
    metrics: Metrics,
    *,
    seal: Seal,
    public_url: str | None,
    allow_private: bool,
) -> LtiServices:
    """The services of LTI. ``allow_private`` is LTI_ALLOW_PRIVATE."""
    web = PublicHttp(allow_private=allow_private, setting="LTI_ALLOW_PRIVATE")
    platforms = LtiPlatforms(registry, web, access, audit, clock, allow_private=allow_private)
    keys = ToolKeys(registry, seal)
    calls = PlatformCalls(web, keys, clock, new_id)
    people = LtiPeople(profiles, audit)
    classes = ContextClasses(registry, cohorts, courses, clock)
    rosters = ContextRosters(platforms, calls, people, classes, cohorts, clock, metrics)
    choices = LinkChoices(registry, platforms, keys, new_secret, public_url)
    sessions = LaunchedSessions(registry, platforms, new_secret)
    logins = Logins(registry, platforms, new_secret, public_url)
    return LtiServices(
        platforms=platforms,
        keys=keys,
        logins=logins,
        launches=Launches(logins, platforms, calls, people, classes, rosters, choices, sessions, audit, metrics),
        choices=choices,
        sessions=sessions,
        registrations=Registrations(registry, platforms, calls, access, audit, clock, new_secret, public_url, metrics),
        classes=classes,
        rosters=rosters,
        calls=calls,
        grades=GradeCalls(calls),
        admission=admission,
        clock=clock,
    )
