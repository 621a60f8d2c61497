"""Badges: issued where a course's badge level is reached, shown with a name or without, revoked and erased.

A badge's id is a keyed hash of its student, course and level, so that nobody guesses it, and so that whoever meets the
same result again after a crash issues the same badge. It is kept as facts; its credential is made of them when somebody
asks for it.
"""

import hmac
import logging
from base64 import b32encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

import msgspec
from cachetools import LRUCache

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.consent import erased_at
from mastery_engine.domain.courses.course import CourseSetup
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result, ThresholdReached, Updated
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Conflict
from mastery_engine.out.badges.badge import Badge
from mastery_engine.out.badges.issuer import Issuer
from mastery_engine.ports.registry import RegistryStore
from mastery_engine.responses.badges import BadgeEntry, BadgeList, BadgePage, badge_entry
from mastery_engine.responses.cursors import make_cursor, read_cursor
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.badge_owners import BadgeOwners
from mastery_engine.services.badge_statuses import BadgeStatuses
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.kept_badges import KeptBadges, no_such_badge, tenant_of
from mastery_engine.services.profiles import Profiles
from mastery_engine.services.students import Students, unknown_student
from mastery_engine.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

ID_BYTES = 16
REMEMBERED = 50_000
PAGE = 100
NO_NAME = "Your school has not said your name, so the badge cannot show it: ask them to set it."


Name: TypeAlias = tuple[StudentKey, CourseKey, str]


class Reached(msgspec.Struct, frozen=True):
    """That a student has reached the badge level of a course."""

    student: StudentKey
    setup: CourseSetup
    level: str
    at: Micros


class _Badged(NamedTuple):
    """A course with a badge: its level, and the levels of those who have reached it."""

    setup: CourseSetup
    level: str
    reaching: frozenset[str]


class Badges:
    """Issues badges, says whose they are, and takes them back. A follower of published results."""

    def __init__(
        self,
        registry: RegistryStore,
        statuses: BadgeStatuses,
        owners: BadgeOwners,
        consents: Consents,
        courses: Courses,
        students: Students,
        profiles: Profiles,
        access: AccessControl,
        audit: Audit,
        idempotency: Idempotency,
        metrics: Metrics,
        clock: Clock,
        secret: bytes,
        issuer: Callable[[], Issuer],
    ) -> None:
        """``issuer`` raises Conflict where no public address is set."""
        self._kept = KeptBadges(registry)
        self._statuses = statuses
        self._owners = owners
        self._consents = consents
        self._courses = courses
        self._students = students
        self._profiles = profiles
        self._access = access
        self._audit = audit
        self._idempotency = idempotency
        self._metrics = metrics
        self._clock = clock
        self._secret = secret
        self._issuer = issuer
        self._issued: LRUCache[Name, Micros] = LRUCache(REMEMBERED)

    @property
    def name(self) -> str:
        """As a follower of results."""
        return "badges"

    async def follow(self, results: Sequence[Result]) -> None:
        """Issue the badges that these results have earned; harmless to do again, durable on return.

        Raises Unavailable.
        """
        now = self._clock()
        courses = {(one.tenant, one.course_id) for one in results}
        setups = await self._courses.of_many([CourseKey(*key) for key in courses], now)
        badged = {tuple(key): _Badged(setup, *found) for key, setup in setups.items() if (found := _reaching(setup))}
        if not badged:
            return
        reached: dict[Name, Reached] = {}
        for one in results:
            course = badged.get((one.tenant, one.course_id))
            if course is None or not isinstance(one, Updated | ThresholdReached) or one.level not in course.reaching:
                continue
            name = (StudentKey(one.tenant, one.student_id), course.setup.key, course.level)
            if self._issued.get(name) != self._erased(name[0]):
                reached.setdefault(name, Reached(name[0], course.setup, course.level, one.at))
        if reached:
            await self._issue(reached, now)

    def _erased(self, student: StudentKey) -> Micros:
        """When the student was erased last, as far as this process knows; 0 if they never were."""
        return erased_at(self._consents.history(student)) or 0

    async def _issue(self, reached: Mapping[Name, Reached], now: Micros) -> None:
        await self._consents.refresh()
        owned = {
            name: msgspec.structs.replace(one, student=self._owners.owner(one.student, one.at))
            for name, one in reached.items()
        }
        allowed = {name: one for name, one in owned.items() if self._may_have(one.student, one.at)}
        ids = {self._id(one): one for one in allowed.values()}
        there = await self._kept.find(list(ids), now)
        new = {
            badge_id: one
            for badge_id, one in ids.items()
            if there[badge_id] is None and not await self._has_under_another_id(one, now)
        }
        if new:
            await self._put(new, now)
        self._issued.update({name: self._erased(name[0]) for name in allowed})

    async def _put(self, new: Mapping[str, Reached], now: Micros) -> None:
        """Put badges that are not there yet, by their ids."""
        places = await self._statuses.claim(list(new), now)
        badges = [
            Badge(
                one.student.tenant,
                badge_id,
                one.student.student_id,
                one.setup.key.course_id,
                one.setup.title,
                one.level,
                next(level.from_score for level in one.setup.rules.levels if level.name == one.level),
                one.at,
                one.at,
                places[badge_id],
            )
            for badge_id, one in new.items()
        ]
        written = await self._kept.put_new(badges, now)
        self._metrics.badges.labels("issued").inc(written)
        logger.info("badges issued: %d", written)
        await self._consents.refresh()  # who was erased meanwhile was erased before their badge was there
        for student in {one.student for one in badges if one.awarded <= self._erased(one.student)}:
            await self._owners.erase(student)

    def _may_have(self, student: StudentKey, at: Micros) -> bool:
        """Whether the student allows processing, and was not erased since."""
        return self._consents.state(student).processing and at > self._erased(student)

    def _id(self, one: Reached) -> str:
        """The badge's id; after an erasure it is another one."""
        about = (*one.student, one.setup.key.course_id, one.level, self._erased(one.student))
        digest = hmac.digest(self._secret, b"badge:" + msgspec.json.encode(about), "sha256")[:ID_BYTES]
        return f"{one.student.tenant}.{b32encode(digest).decode().rstrip('=').lower()}"

    async def _has_under_another_id(self, one: Reached, now: Micros) -> bool:
        """Whether the student has the badge from a time when they were known by an id that was linked to them."""
        about = (one.setup.key.course_id, one.level)
        return any((badge.course_id, badge.level) == about for badge in await self._owners.of(one.student, now))

    async def of_student(self, caller: Caller, student_id: str) -> BadgeList:
        """A student's badges, revoked ones too. Raises Forbidden, NotFound and, without an address, Conflict."""
        self._access.check_student(caller, Act.READ, student_id, "badges")
        now = caller.moment(self._clock)
        issuer = self._issuer()
        await self._consents.check_reads(caller.tenant, student_id, now)
        key = StudentKey(caller.tenant, student_id)
        badges = await self._owners.of(key, now)
        if not badges and not await self._students.has_documents(key):
            raise unknown_student()
        return BadgeList([badge_entry(badge, issuer) for badge in badges])

    async def shown(self, caller: Caller, student_id: str) -> list[Badge]:
        """A student's badges for their page, oldest first; none where no public address is set, which no link has then.

        Raises Forbidden and Unavailable.
        """
        self._access.check_student(caller, Act.READ, student_id, "badges")
        with suppress(Conflict):
            self._issuer()
            return await self._owners.of(StudentKey(caller.tenant, student_id), caller.moment(self._clock))
        return []

    async def show_name(
        self, caller: Caller, student_id: str, badge_id: str, *, shown: bool, key: IdempotencyKey | None = None
    ) -> BadgeEntry:
        """Have a badge of one's own show one's name, as the school has set it, or none again.

        Only the student may: who was given a badge without a name may have given it on. Raises Forbidden, NotFound, and
        Conflict where the school has set no name, or ``key`` was used with another body.
        """
        self._access.check_student(caller, Act.NAME_BADGE, student_id, "badge-name", changes=True)
        now = caller.moment(self._clock)
        issuer = self._issuer()
        await self._idempotency.claim(caller, f"badge-name {badge_id}", key)
        student = StudentKey(caller.tenant, student_id)
        if badge_id not in {badge.badge_id for badge in await self._owners.of(student, now)}:
            raise no_such_badge()
        name = None
        if shown:
            (stored,) = await self._profiles.load([student])
            name = stored.profile.display_name
            if name is None:
                raise Conflict(NO_NAME, field="shown")
        await self._audit.write(caller, "badge-name", [student_id])

        def named(badge: Badge) -> Badge:
            return badge if badge.name == name else msgspec.structs.replace(badge, name=name, issued=now)

        return badge_entry(await self._kept.change(badge_id, named, now), issuer)

    async def revoke(self, caller: Caller, badge_id: str) -> BadgeEntry:
        """Take a badge back: the status list says so from now on. It is safe to do again.

        Raises Forbidden, and NotFound where the tenant has no such badge, or it was erased.
        """
        self._access.check_act(caller, Act.REVOKE_BADGE, "revoke-badge")
        now = caller.moment(self._clock)
        issuer = self._issuer()
        if tenant_of(badge_id) != caller.tenant:
            raise no_such_badge()
        badge = (await self._kept.badge(badge_id, now)).badge
        await self._audit.write(caller, "revoke-badge", [badge.student_id])
        await self._statuses.revoke([badge.status], now)

        def revoked(kept: Badge) -> Badge:
            return kept if kept.revoked is not None else msgspec.structs.replace(kept, revoked=now)

        if badge.revoked is None:
            self._metrics.badges.labels("revoked").inc()
        return badge_entry(await self._kept.change(badge_id, revoked, now), issuer)

    async def list(self, caller: Caller, *, limit: int = PAGE, cursor: str | None = None) -> BadgePage:
        """A page of the tenant's badges, without those that were erased. Raises Forbidden and InvalidInput."""
        self._access.check_act(caller, Act.REVOKE_BADGE, "list-badges")
        self._audit.note(caller, "list-badges", None, allowed=True)
        issuer, now = self._issuer(), caller.moment(self._clock)
        page, more = await self._kept.page(caller.tenant, read_cursor(cursor, str) or "", limit, now)
        return BadgePage(
            [badge_entry(kept.badge, issuer) for kept in page], None if more is None else make_cursor(more)
        )


def _reaching(setup: CourseSetup) -> tuple[str, frozenset[str]] | None:
    """The level of a course's badge, and the levels of those who have reached it; None where it has no badge."""
    names, badge = [one.name for one in setup.rules.levels], setup.course.badges
    return None if badge is None or badge not in names else (badge, frozenset(names[names.index(badge) :]))
