"""The rosters of platforms' classes (Names and Role Provisioning Services 2.0): read at a launch, and daily."""

import asyncio
import logging

from mastery_engine.auth.access import Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.moments import DAY, MINUTE, Micros
from mastery_engine.errors import MasteryError, Unavailable
from mastery_engine.lti.contexts import ContextRecord, PersonRecord
from mastery_engine.lti.memberships import MEDIA_TYPE, MOST_PAGES, SCOPE, LtiMember, class_after, members_in, next_page
from mastery_engine.lti.platforms import LtiPlatform
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.lti.calls import PlatformCalls, PlatformFault, json_in
from mastery_engine.services.lti.classes import ContextClasses
from mastery_engine.services.lti.people import KnownPerson, LtiPeople, LtiPerson
from mastery_engine.services.lti.platforms import LtiPlatforms
from mastery_engine.tasks import ended
from mastery_engine.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

CALL = "lti-roster"
AGAIN: Micros = MINUTE  # a launch reads no roster that was asked for so lately
PATIENCE_S = 4.0  # an instructor waits so long for their class; what comes later comes later
LOOK_EVERY_S = 600.0
PEOPLE_AT_ONCE = 250
MOST_MEMBERS_READ = 20_000
MOST_AT_ONCE = 8


class ContextRosters:
    """Reads rosters into classes. It erases nobody: who is gone leaves the class, and keeps profile and evidence."""

    def __init__(
        self,
        platforms: LtiPlatforms,
        calls: PlatformCalls,
        people: LtiPeople,
        classes: ContextClasses,
        cohorts: Cohorts,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._platforms = platforms
        self._calls = calls
        self._people = people
        self._classes = classes
        self._cohorts = cohorts
        self._clock = clock
        self._metrics = metrics
        self._reading: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def read_soon(self, platform: LtiPlatform, record: ContextRecord, now: Micros, *, waits: bool) -> None:
        """Read the roster of a class in the background; with ``waits`` for some seconds at most before it goes on."""
        if record.memberships_url is None or now < record.read + AGAIN:
            return
        task = asyncio.create_task(self._read_once(platform, record))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)
        if waits:
            await asyncio.wait([task], timeout=PATIENCE_S)

    async def run(self) -> int:
        """Read the rosters that were not read for a day; how many were due. Raises Unavailable."""
        due, after = 0, ""
        while True:
            now = self._clock()
            page = await self._classes.page(after, now)
            for record in page:
                after = record.key
                platform = await self._platform(record, now)
                if platform is not None and record.memberships_url is not None and now >= record.read + DAY:
                    due += 1
                    await self._read_once(platform, record)
            if not page:
                return due

    async def keep_running(self) -> None:
        """Look every ten minutes which rosters are due, until cancelled."""
        while True:
            try:
                await self.run()
            except Unavailable as error:
                logger.warning("the rosters of learning platforms wait: %s", error.message)
            await asyncio.sleep(LOOK_EVERY_S)

    async def close(self) -> None:
        """End what is being read: it is read again when it is due."""
        for task in list(self._reading):
            await ended(task)

    async def _platform(self, record: ContextRecord, now: Micros) -> LtiPlatform | None:
        try:
            return await self._platforms.find(record.issuer, record.client_id, now)
        except Unavailable:
            raise
        except MasteryError:
            return None

    async def _read_once(self, platform: LtiPlatform, record: ContextRecord) -> None:
        """Read a roster, unless another replica does; a fault is kept for who asks, and removes nobody."""
        async with self._places:
            try:
                now = self._clock()
                if await self._classes.revise(record, now, read=now):
                    await self._read(platform, record, now)
                    self._metrics.lti_rosters.labels("read").inc()
            except MasteryError as error:
                self._metrics.lti_rosters.labels("failed").inc()
                logger.warning("the roster of class %s could not be read: %s", record.cohort_id, error.message)

    async def _read(self, platform: LtiPlatform, record: ContextRecord, now: Micros) -> None:
        caller = Caller(f"lti:{platform.key[:16]}", "service", platform.tenant, at=now)
        members = {one.sub: one for one in await self._members(platform, record, now)}
        here = [one for one in members.values() if one.role is not None]
        listed: dict[str, tuple[LtiMember, KnownPerson]] = {}
        for start in range(0, len(here), PEOPLE_AT_ONCE):
            some = here[start : start + PEOPLE_AT_ONCE]
            told = [LtiPerson(one.sub, one.name) for one in some]
            known = await self._people.known(caller, CALL, platform.issuer, told)
            listed |= {
                one.student_id: (member, one) for member, one in zip(some, known, strict=True) if not one.is_erased
            }
        before = await self._classes.people(record, now)
        gone = before.keys() - listed.keys()
        learners = [name for name, (member, _) in listed.items() if member.role == "learner"]
        teachers = [one.teacher(platform.issuer) for member, one in listed.values() if member.role == "instructor"]
        no_teachers = {name for name, (member, _) in listed.items() if member.role == "learner"}
        no_learners = {one.student_id for one in teachers}
        await self._cohorts.revise(
            caller,
            record.cohort_id,
            CALL,
            lambda roster: class_after(
                roster.cohort, learners, teachers, gone | no_teachers | no_learners, roster.joined
            ),
        )
        changed: dict[str, PersonRecord | None] = dict.fromkeys(gone)
        for name, (member, _) in listed.items():
            person = PersonRecord(member.sub, member.role or "learner")
            if before.get(name) != person:
                changed[name] = person
        await self._classes.note_people(record, changed, now)

    async def _members(self, platform: LtiPlatform, record: ContextRecord, now: Micros) -> list[LtiMember]:
        """All members, of all pages. Raises PlatformFault where a page is missing: then nobody is removed."""
        found: list[LtiMember] = []
        url, seen = record.memberships_url, set[str]()
        while url is not None:
            if url in seen or len(seen) >= MOST_PAGES or len(found) > MOST_MEMBERS_READ:
                raise PlatformFault("The platform's roster has no end.")
            seen.add(url)
            answer = await self._calls.call(platform, [SCOPE], "GET", url, now, accept=MEDIA_TYPE)
            members = members_in(json_in(answer))
            if members is None:
                raise PlatformFault("The platform's answer is no roster.")
            found += members
            url = next_page(answer.headers.get("link", ""), url)
        return found
