"""Where cohorts live: what admins said of them, and who joined them by events."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from mastery_engine.domain.cohorts.cohort import BEFORE_COURSES, Cohort, Due, Naming, course_of_cohort
from mastery_engine.domain.moments import Day
from mastery_engine.domain.student import DocumentKey, StudentKey


class Roster(msgspec.Struct, frozen=True):
    """A cohort as the store has it: the admin's word with the number of its writes, and who joined by events.

    ``first`` is the first event that named it, as far as it is known.
    """

    version: int
    cohort: Cohort
    joined: frozenset[str]
    first: Naming | None = None

    @property
    def members(self) -> frozenset[str]:
        return self.cohort.members(self.joined)

    @property
    def course_id(self) -> str:
        """The course that it belongs to."""
        return course_of_cohort(self.cohort, self.first)

    @property
    def is_known(self) -> bool:
        """Whether an admin or an event ever named it."""
        return bool(self.version or self.joined)


class Join(msgspec.Struct, frozen=True, gc=False):
    """Events, the last of this day (UTC, of its receipt), say that a student is in a cohort; ``first`` is the first."""

    key: StudentKey
    cohort_id: str
    day: Day
    first: Naming = BEFORE_COURSES


class CohortStore(Protocol):
    """Cohorts by tenant and id. All calls raise Unavailable when the store is away."""

    async def roster(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        """A cohort, with those who joined it by events of ``since`` or later; version 0 where no admin named it."""
        ...

    async def put(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        """Write an admin's word where ``version`` is still the store's; durable on return. False where it lost."""
        ...

    async def put_into(self, key: StudentKey) -> frozenset[str]:
        """The cohorts that admins put a student in."""
        ...

    async def taught_by(self, tenant: str, name: str) -> frozenset[str]:
        """The cohorts of which a teacher may be known by this name: none is missing, and each one's word decides."""
        ...

    async def calendars(
        self, named: Mapping[DocumentKey, Sequence[str]], *, since: Day
    ) -> list[Mapping[str, Sequence[Due]]]:
        """For each student the calendars of the course's cohorts that they are in, by cohort; none that is empty.

        ``named`` has the cohorts that each document names, ``since`` is as for ``roster``. The cost does not depend on
        how many members a cohort has, and it is one round trip where the store is one server.
        """
        ...

    async def join(self, joins: Sequence[Join]) -> Sequence[Join]:
        """Note who joined by events; to be called before the documents that say so are committed.

        Of all events that name a cohort the first stays known for as long as somebody is in it by events. At most
        ``MOST_MEMBERS`` students are. Returns the joins of others, which are not noted.
        """
        ...

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        """Take a student out of those who joined these cohorts by events; an admin's word stays."""
        ...

    async def clear_joins(self) -> None:
        """Forget who joined by events; a replay notes them again. The first events and an admin's word stay."""
        ...

    async def purge(self, before: Day) -> None:
        """Forget those whose last joining event was before a day; an admin's word stays."""
        ...
