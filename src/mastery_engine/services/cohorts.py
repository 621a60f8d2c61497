"""Cohorts: who is in them, by events and by an admin's word, and when work is due there."""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from mastery_engine.auth.access import Act, Caller, check_cohort
from mastery_engine.domain.cohorts.cohort import Due
from mastery_engine.domain.moments import SECOND, Day, Micros, day_of, iso_date
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Conflict, Forbidden, InvalidInput, NotFound
from mastery_engine.ports.documents import Roster
from mastery_engine.responses.cohorts import CohortRecord, DueDay
from mastery_engine.services.mastery import Mastery

T = TypeVar("T")

SIGHT: Micros = SECOND
MOST_COHORTS = 1_000
MAX_ROUNDS = 20
PAGE = 1_000


class Cohorts:
    """The cohorts of all tenants, as one process sees them."""

    def __init__(self, mastery: Mastery) -> None:
        self._mastery = mastery
        self._seen: OrderedDict[tuple[str, str], tuple[Micros, frozenset[str]]] = OrderedDict()

    async def admit(self, caller: Caller) -> Caller:
        """The caller, a teacher's cohorts spelled out as students; membership is as of the last second."""
        if caller.role != "teacher" or not caller.cohorts:
            return caller
        members = await asyncio.gather(*(self._members(caller.tenant, one) for one in caller.cohorts))
        return msgspec.structs.replace(caller, students=caller.students.union(*members))

    async def _members(self, tenant: str, cohort_id: str) -> frozenset[str]:
        now = self._mastery.clock()
        known = self._seen.get((tenant, cohort_id))
        if known is not None and known[0] <= now < known[0] + SIGHT:
            return known[1]
        members = (await self.roster(tenant, cohort_id)).members
        self._seen[tenant, cohort_id] = (now, members)
        self._seen.move_to_end((tenant, cohort_id))
        if len(self._seen) > MOST_COHORTS:
            self._seen.popitem(last=False)
        return members

    async def roster(self, tenant: str, cohort_id: str) -> Roster:
        """Who is in a cohort now: those whom events named within the retention, and an admin's word over it."""
        floor = day_of(self._mastery.clock()) - self._mastery.rules.retention_days + 1
        return await self._mastery.store.cohort(tenant, cohort_id, since=floor)

    async def put(
        self, caller: Caller, cohort_id: str, name: str, members: Iterable[str], calendar: Iterable[Due] | None
    ) -> CohortRecord:
        """Say who is in a cohort, all of them; a calendar that is not given stays. On record before it counts."""
        self.check(caller, Act.SET_ROSTER, cohort_id, "put-cohort")
        wanted, due = frozenset(members), None if calendar is None else tuple(calendar)
        for _ in range(MAX_ROUNDS):
            roster = await self.roster(caller.tenant, cohort_id)
            cohort = roster.cohort.told(name, wanted, due, roster.joined)
            await self._mastery.trail.write(caller, "put-cohort", sorted(roster.members ^ wanted) or [None])
            if await self._mastery.store.put_cohort(caller.tenant, cohort_id, roster.version, cohort):
                self._seen.pop((caller.tenant, cohort_id), None)
                return _record(cohort_id, Roster(roster.version + 1, cohort, roster.joined), PAGE, None)
        raise Conflict("Others are changing this cohort at the same time: try again.", field="cohort_id")

    async def show(
        self, caller: Caller, cohort_id: str, *, limit: int = PAGE, cursor: str | None = None
    ) -> CohortRecord:
        """A cohort with a page of its members. Raises NotFound where neither admin nor event has named it."""
        self.check(caller, Act.ROSTER, cohort_id, "cohort")
        self._mastery.trail.note(caller, "cohort", None, allowed=True)
        return _record(cohort_id, await self.known(caller.tenant, cohort_id), limit, cursor)

    async def known(self, tenant: str, cohort_id: str) -> Roster:
        """Raises NotFound where neither an admin nor an event has named it."""
        roster = await self.roster(tenant, cohort_id)
        if not roster.is_known:
            raise NotFound("There is no such cohort.", field="cohort_id")
        return roster

    async def due_days(self, tenant: str, student_id: str) -> tuple[Day, ...]:
        """The days on which work is due for a student, rising; a day stands as often as it has work due."""
        rosters = [await self.roster(tenant, one) for one in sorted(await self.named(StudentKey(tenant, student_id)))]
        return tuple(
            sorted(due.day for roster in rosters if student_id in roster.members for due in roster.cohort.calendar)
        )

    async def forget(self, key: StudentKey) -> None:
        """Take a student out of every cohort, and out of every word on them: for their erasure."""
        store = self._mastery.store
        (held,) = await store.load([key])
        await store.leave(key, held.student.cohorts if held else ())
        for cohort_id in await self.named(key):
            for _ in range(MAX_ROUNDS):
                roster = await self.roster(key.tenant, cohort_id)
                without = roster.cohort.without(key.student_id)
                if without == roster.cohort or await store.put_cohort(key.tenant, cohort_id, roster.version, without):
                    break
            self._seen.pop((key.tenant, cohort_id), None)

    async def named(self, key: StudentKey) -> frozenset[str]:
        """The cohorts that a student may be in, by events or by admins."""
        (held,) = await self._mastery.store.load([key])
        return (await self._mastery.store.cohorts_of(key)).union(held.student.cohorts if held else ())

    def check(self, caller: Caller, act: Act, cohort_id: str, call: str, student_id: str | None = None) -> None:
        """Raises Forbidden, on record, where the caller may not do this to this cohort."""
        try:
            check_cohort(caller, act, cohort_id, student_id)
        except Forbidden:
            self._mastery.trail.note(caller, call, student_id, allowed=False)
            raise


def _record(cohort_id: str, roster: Roster, limit: int, cursor: str | None) -> CohortRecord:
    members = sorted(roster.members)
    after = read_cursor(cursor, str)
    page = [one for one in members if after is None or one > after][: limit + 1]
    return CohortRecord(
        cohort_id,
        roster.cohort.name or cohort_id,
        len(members),
        page[:limit],
        [DueDay(iso_date(due.day), due.topic, due.kind, due.minutes) for due in roster.cohort.calendar],
        make_cursor(page[limit - 1]) if len(page) > limit else None,
    )


def make_cursor(place: object) -> str:
    """A place in a list as an opaque word."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).rstrip(b"=").decode()


def read_cursor(cursor: str | None, kind: type[T]) -> T | None:
    """The place. Raises InvalidInput where the word is none of ours."""
    if cursor is None:
        return None
    try:
        return msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidInput(
            "The cursor is none that this call gave: leave it out to start again.", field="cursor"
        ) from error
