"""Cohorts: their members, by events and by admins, and the days on which work is due."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from cachetools import LRUCache

from mastery_engine.auth.access import TABLE, Act, Caller, Reach
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.cohort import Cohort, Due, Teacher
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.given_ids import as_spelled
from mastery_engine.domain.moments import SECOND, Day, Micros, day_of, iso_date
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.errors import Conflict, NotFound
from mastery_engine.ports.cohorts import CohortStore, Roster
from mastery_engine.ports.documents import DocumentStore
from mastery_engine.responses.cohorts import CohortList, CohortRecord, DueDay, ListedCohort
from mastery_engine.responses.cursors import make_cursor, read_cursor
from mastery_engine.responses.privacy import HeldMembership
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.consents import Consents
from mastery_engine.services.idempotency import Idempotency, IdempotencyKey
from mastery_engine.services.known_cohorts import KnownCohorts
from mastery_engine.services.profiles import Profiles

MEMBERS_LIFE: Micros = SECOND
MOST_COHORTS = 1_000
MOST_TEACHERS = 1_000
MAX_ROUNDS = 20
PAGE = 1_000


class SeenCohort(msgspec.Struct, frozen=True):
    """Who was in a cohort, whom a token's ``sub`` may call its teachers, and its course, at a moment."""

    at: Micros
    members: frozenset[str]
    taught_by: frozenset[str]
    course_id: str
    name: str = ""
    teachers: tuple[Teacher, ...] = ()


class Cohorts:
    """Reads and changes the cohorts of all tenants."""

    def __init__(
        self,
        store: CohortStore,
        known: KnownCohorts,
        documents: DocumentStore,
        access: AccessControl,
        audit: Audit,
        idempotency: Idempotency,
        profiles: Profiles,
        consents: Consents,
        rules: Rules,
        clock: Clock,
        *,
        most: int = MOST_COHORTS,
    ) -> None:
        self._store = store
        self._known = known
        self._documents = documents
        self._access = access
        self._audit = audit
        self._idempotency = idempotency
        self._profiles = profiles
        self._consents = consents
        self._rules = rules
        self._clock = clock
        self._seen: LRUCache[tuple[str, str], SeenCohort] = LRUCache(most)
        self._hinted: LRUCache[tuple[str, str], tuple[Micros, frozenset[str]]] = LRUCache(MOST_TEACHERS)

    async def with_members(self, caller: Caller) -> Caller:
        """A teacher with the cohorts that a roster says they teach, and the members of all their cohorts as students.

        What it goes by may be a second old.
        """
        if caller.role != "teacher":
            return caller
        now = caller.moment(self._clock)
        hinted, *named = await asyncio.gather(
            self._may_teach(caller, now), *(self._members_of(caller.tenant, one, now) for one in sorted(caller.cohorts))
        )
        others = sorted(hinted - caller.cohorts)
        found = await asyncio.gather(*(self._seen_now(caller.tenant, cohort_id, now) for cohort_id in others))
        subject = as_spelled(caller.subject)
        taught = {one: seen.members for one, seen in zip(others, found, strict=True) if subject in seen.taught_by}
        students = caller.students.union(*named, *taught.values())
        return msgspec.structs.replace(caller, students=students, cohorts=caller.cohorts.union(taught))

    async def with_named_members(self, caller: Caller) -> Caller:
        """A teacher with the members of the cohorts that the session names as students, and of no others."""
        if caller.role != "teacher":
            return caller
        now = caller.moment(self._clock)
        named = await asyncio.gather(*(self._members_of(caller.tenant, one, now) for one in sorted(caller.cohorts)))
        return msgspec.structs.replace(caller, students=caller.students.union(*named))

    async def _may_teach(self, caller: Caller, now: Micros) -> frozenset[str]:
        """The cohorts that a teacher may teach; each one's word decides."""
        name = (caller.tenant, as_spelled(caller.subject))
        cached = self._hinted.get(name)
        if cached is not None and cached[0] <= now < cached[0] + MEMBERS_LIFE:
            return cached[1]
        hinted = await self._store.taught_by(*name)
        self._hinted[name] = (now, hinted)
        return hinted

    async def _members_of(self, tenant: str, cohort_id: str, now: Micros) -> frozenset[str]:
        return (await self._seen_now(tenant, cohort_id, now)).members

    async def _seen_now(self, tenant: str, cohort_id: str, now: Micros) -> SeenCohort:
        cached = self._seen.get((tenant, cohort_id))
        if cached is not None and cached.at <= now < cached.at + MEMBERS_LIFE:
            return cached
        roster = await self.roster(tenant, cohort_id, now)
        cohort = roster.cohort
        seen = SeenCohort(now, roster.members, cohort.taught_by, roster.course_id, cohort.name, cohort.teachers)
        self._seen[tenant, cohort_id] = seen
        return seen

    async def members_by_course(self, caller: Caller, now: Micros) -> dict[str, frozenset[str]]:
        """The members of a caller's cohorts by the course of these; it may be a second old. Raises Unavailable."""
        seen = await asyncio.gather(*(self._seen_now(caller.tenant, one, now) for one in sorted(caller.cohorts)))
        members: dict[str, frozenset[str]] = defaultdict(frozenset)
        for one in seen:
            members[one.course_id] |= one.members
        return members

    async def titles(self, caller: Caller, now: Micros) -> dict[str, str]:
        """The names of a caller's cohorts by their ids, which stand for those without one. Raises Unavailable."""
        return await self.titles_of(caller, sorted(caller.cohorts), now)

    async def titles_of(self, caller: Caller, cohort_ids: Sequence[str], now: Micros) -> dict[str, str]:
        """The names of cohorts that the caller may see by their ids, as ``titles``. Raises Unavailable."""
        seen = await asyncio.gather(*(self._seen_now(caller.tenant, one, now) for one in cohort_ids))
        return {cohort_id: one.name or cohort_id for cohort_id, one in zip(cohort_ids, seen, strict=True)}

    async def teachers_of(self, caller: Caller, now: Micros) -> dict[str, str]:
        """Whose profile a token's ``sub`` stands for, of the teachers of a caller's cohorts. Raises Unavailable."""
        seen = await asyncio.gather(*(self._seen_now(caller.tenant, one, now) for one in sorted(caller.cohorts)))
        return {name: teacher.student_id for one in seen for teacher in one.teachers for name in teacher.known_as}

    async def narrowed(self, caller: Caller, cohort_id: str, now: Micros) -> Caller:
        """A caller with one cohort alone, and its members as their students. Raises Forbidden and Unavailable."""
        self._access.check_cohort(caller, Act.COHORT, cohort_id, "cohort-page")
        members = await self._members_of(caller.tenant, cohort_id, now)
        return msgspec.structs.replace(caller, cohorts=frozenset((cohort_id,)), students=members)

    async def course_of(self, caller: Caller, cohort_id: str) -> str:
        """The course that a cohort belongs to; it may be a second old. Raises Unavailable."""
        return (await self._seen_now(caller.tenant, cohort_id, caller.moment(self._clock))).course_id

    async def in_course(self, course: CourseKey, cohort_ids: Iterable[str], now: Micros) -> list[str]:
        """Those of these cohorts that belong to a course, by id; it may be a second old. Raises Unavailable."""
        named = sorted(cohort_ids)
        seen = await asyncio.gather(*(self._seen_now(course.tenant, one, now) for one in named))
        return [name for name, one in zip(named, seen, strict=True) if one.course_id == course.course_id]

    async def roster(self, tenant: str, cohort_id: str, now: Micros) -> Roster:
        """The members of a cohort now: those whom events named within the retention, as corrected by admins."""
        return await self._store.roster(tenant, cohort_id, since=self._first_day(now))

    async def known_roster(self, tenant: str, cohort_id: str, now: Micros) -> Roster:
        """As ``roster``. Raises NotFound if no admin and no event has named the cohort."""
        roster = await self.roster(tenant, cohort_id, now)
        if not roster.is_known:
            raise NotFound("There is no cohort with this id.", field="cohort_id")
        return roster

    async def put(
        self,
        caller: Caller,
        cohort_id: str,
        name: str,
        members: Iterable[str],
        calendar: Iterable[Due] | None,
        *,
        course_id: str | None = None,
        key: IdempotencyKey | None = None,
    ) -> CohortRecord:
        """Set all members of a cohort; without ``calendar`` or ``course_id`` the old one stays.

        It is recorded before it counts. A derived id that was linked to a student stands for the student.

        Raises Conflict if ``key`` was used with another body, or others keep changing the cohort at the same time.
        """
        self._access.check_cohort(caller, Act.SET_ROSTER, cohort_id, "put-cohort")
        await self._idempotency.claim(caller, f"put-cohort {cohort_id}", key)
        now = caller.moment(self._clock)
        wanted = frozenset([await self._consents.student_now(caller.tenant, member, now) for member in members])
        due = None if calendar is None else tuple(calendar)
        for _ in range(MAX_ROUNDS):
            roster = await self.roster(caller.tenant, cohort_id, now)
            cohort = roster.cohort.with_members(name, wanted, due, roster.joined)
            if course_id is not None:
                cohort = msgspec.structs.replace(cohort, course_id=course_id)
            await self._audit.write(caller, "put-cohort", sorted(roster.members ^ wanted) or [None])
            await self._known.note([(caller.tenant, cohort_id)], now)
            if await self._store.put(caller.tenant, cohort_id, roster.version, cohort):
                self._seen.pop((caller.tenant, cohort_id), None)
                return _record(cohort_id, msgspec.structs.replace(roster, cohort=cohort), PAGE, None)
        raise Conflict("Others changed this cohort at the same time: try again.", field="cohort_id")

    async def name(self, caller: Caller, cohort_id: str, name: str) -> None:
        """Name a cohort, and leave all else of it as it is. Raises Forbidden, and Conflict as ``revise``."""
        self._access.check_cohort(caller, Act.SET_ROSTER, cohort_id, "put-cohort")
        await self.revise(caller, cohort_id, "put-cohort", lambda at: msgspec.structs.replace(at.cohort, name=name))

    async def revise(
        self, caller: Caller, cohort_id: str, call: str, change: Callable[[Roster], Cohort]
    ) -> tuple[Cohort, Cohort]:
        """A cohort before and after a change of it, which is recorded before it counts. Who may do so was checked.

        Raises Conflict if others keep changing the cohort at the same time.
        """
        now = caller.moment(self._clock)
        for _ in range(MAX_ROUNDS):
            roster = await self.roster(caller.tenant, cohort_id, now)
            after = change(roster)
            if after == roster.cohort:
                return after, after
            touched = roster.members ^ after.members(roster.joined)
            await self._audit.write(caller, call, sorted(touched) or [None])
            await self._known.note([(caller.tenant, cohort_id)], now)
            if await self._store.put(caller.tenant, cohort_id, roster.version, after):
                self._seen.pop((caller.tenant, cohort_id), None)
                self._hinted.clear()
                return roster.cohort, after
        raise Conflict("Others changed this cohort at the same time: try again.", field="cohort_id")

    async def rename_teacher(
        self, caller: Caller, student_id: str, call: str, *, added: Iterable[str], dropped: Iterable[str]
    ) -> None:
        """In all classes that a person teaches, have a token's ``sub`` name them by other ids, and by some no more.

        An id by which another teacher is known opens no class for this one: whose it is cannot be told. Raises
        Conflict, as ``revise``, and Unavailable; it may be repeated.
        """
        tenant, gone = caller.tenant, frozenset(dropped)
        taught = await self._store.taught_by(tenant, student_id)
        if not taught:
            return
        theirs = frozenset([name for name in added if not await self._is_of_another(tenant, student_id, name, caller)])
        for cohort_id in sorted(taught):
            await self.revise(
                caller, cohort_id, call, lambda at: at.cohort.with_teacher(student_id, added=theirs, dropped=gone)
            )

    async def _is_of_another(self, tenant: str, student_id: str, name: str, caller: Caller) -> bool:
        """Whether another teacher is known by a name."""
        now = caller.moment(self._clock)
        for cohort_id in await self._store.taught_by(tenant, name):
            teachers = (await self.roster(tenant, cohort_id, now)).cohort.teachers
            if any(name in one.known_as and one.student_id != student_id for one in teachers):
                return True
        return False

    async def named_for(self, key: StudentKey) -> frozenset[str]:
        """The cohorts that admins and rosters put a person in, or may have them teach."""
        put_into, taught = await asyncio.gather(self._store.put_into(key), self._store.taught_by(*key))
        return put_into | taught

    async def listed(self, caller: Caller, *, limit: int = PAGE, cursor: str | None = None) -> CohortList:
        """A page of the cohorts that the caller may ask about, by id: a teacher's own, or all of the tenant.

        Students are shown those that they are in, without their sizes. Raises Unavailable.
        """
        self._access.check_act(caller, Act.LIST_COHORTS, "cohorts")
        self._audit.note(caller, "cohorts", None, allowed=True)
        now, after = caller.moment(self._clock), read_cursor(cursor, str) or ""
        reach = TABLE[Act.LIST_COHORTS][caller.role]
        if reach is Reach.TENANT:
            asked = await self._known.page(caller.tenant, after, limit + 1, now)
        else:
            own: Iterable[str] = caller.cohorts
            if reach is Reach.SELF:
                own = (await self.of_many([StudentKey(caller.tenant, caller.subject)], now))[caller.subject]
            asked = sorted(name for name in own if name > after)[: limit + 1]
        page = asked[:limit]
        seen = await asyncio.gather(*(self._seen_now(caller.tenant, one, now) for one in page))
        return CohortList(
            [
                ListedCohort(name, one.name or name, one.course_id, None if reach is Reach.SELF else len(one.members))
                for name, one in zip(page, seen, strict=True)
                if one.members or one.name
            ],
            make_cursor(page[-1]) if len(asked) > limit else None,
        )

    async def show(
        self, caller: Caller, cohort_id: str, *, limit: int = PAGE, cursor: str | None = None
    ) -> CohortRecord:
        """A cohort with a page of its members. Raises NotFound if no admin and no event has named it."""
        self._access.check_cohort(caller, Act.ROSTER, cohort_id, "cohort")
        self._audit.note(caller, "cohort", None, allowed=True)
        now = caller.moment(self._clock)
        record = _record(cohort_id, await self.known_roster(caller.tenant, cohort_id, now), limit, cursor)
        names = await self._profiles.names(caller.tenant, record.members)
        return msgspec.structs.replace(record, display_names=names)

    async def due_days(
        self, course: CourseKey, named: Mapping[str, Iterable[str]], now: Micros
    ) -> dict[str, tuple[Day, ...]]:
        """By student the days on which work is due in a course, rising, each once for every piece of work due on it.

        Only the calendars of the course's own cohorts count. ``named`` has the cohorts in each student's document. No
        roster is read.
        """
        asked = {
            DocumentKey(course.tenant, student_id, course.course_id): sorted(cohort_ids)
            for student_id, cohort_ids in named.items()
        }
        calendars = await self._store.calendars(asked, since=self._first_day(now)) if asked else []
        return {
            student_id: tuple(sorted(due.day for calendar in own.values() for due in calendar))
            for student_id, own in zip(named, calendars, strict=True)
        }

    async def forget(self, key: StudentKey, now: Micros) -> frozenset[str]:
        """Remove a person from every cohort and from what admins set, for an erasure; returns those cohorts."""
        cohort_ids = await self.of(key) | await self._store.taught_by(*key)
        await self._store.leave(key, cohort_ids)
        for cohort_id in cohort_ids:
            for _ in range(MAX_ROUNDS):
                roster = await self.roster(key.tenant, cohort_id, now)
                without = roster.cohort.without(key.student_id)
                if without == roster.cohort or await self._store.put(key.tenant, cohort_id, roster.version, without):
                    break
            self._seen.pop((key.tenant, cohort_id), None)
        return cohort_ids

    async def of(self, key: StudentKey) -> frozenset[str]:
        """The cohorts that a student may be in, by events or by admins."""
        (courses,) = await self._documents.of_students([key])
        named = [document.student.cohorts for document in courses.values()]
        return (await self._store.put_into(key)).union(*named)

    async def of_many(self, students: Sequence[StudentKey], now: Micros) -> dict[str, list[str]]:
        """By student the cohorts that they are in now, by id; the students are of one tenant. Raises Unavailable."""
        courses = await self._documents.of_students(students)
        put_into = await asyncio.gather(*[self._store.put_into(key) for key in students])
        named = {
            key: put.union(*[document.student.cohorts for document in own.values()])
            for key, put, own in zip(students, put_into, courses, strict=True)
        }
        asked = sorted({(key.tenant, cohort_id) for key, cohort_ids in named.items() for cohort_id in cohort_ids})
        seen = {one: await self._seen_now(*one, now) for one in asked}
        return {
            key.student_id: sorted(one for one in cohort_ids if key.student_id in seen[key.tenant, one].members)
            for key, cohort_ids in named.items()
        }

    async def memberships(self, key: StudentKey, now: Micros) -> list[HeldMembership]:
        """What each cohort that a student may be in holds about them, by id."""
        found = []
        for cohort_id in sorted(await self.of(key) | await self._store.taught_by(*key)):
            roster = await self.roster(key.tenant, cohort_id, now)
            name, cohort = key.student_id, roster.cohort
            found.append(
                HeldMembership(
                    cohort_id,
                    cohort.name or cohort_id,
                    name in roster.members,
                    name in roster.joined,
                    name in cohort.put,
                    name in cohort.out,
                    any(teacher.student_id == name for teacher in cohort.teachers),
                    roster.course_id,
                )
            )
        return found

    def _first_day(self, now: Micros) -> Day:
        return day_of(now) - self._rules.retention_days + 1


def _record(cohort_id: str, roster: Roster, limit: int, cursor: str | None) -> CohortRecord:
    members = sorted(roster.members)
    after = read_cursor(cursor, str)
    page = [one for one in members if after is None or one > after][: limit + 1]
    return CohortRecord(
        cohort_id,
        roster.course_id,
        roster.cohort.name or cohort_id,
        len(members),
        page[:limit],
        [DueDay(iso_date(due.day), due.topic, due.kind, due.minutes) for due in roster.cohort.calendar],
        make_cursor(page[limit - 1]) if len(page) > limit else None,
    )
