"""Cohorts in memory."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mastery_engine.domain.cohorts.cohort import MOST_MEMBERS, NO_COHORT, Cohort, Due, Naming, course_of_cohort
from mastery_engine.domain.moments import Day
from mastery_engine.domain.student import DocumentKey, StudentKey
from mastery_engine.ports.cohorts import Join, Roster


class MemoryCohorts:
    """See ``CohortStore``."""

    def __init__(self) -> None:
        self._cohorts: dict[tuple[str, str], tuple[int, Cohort]] = {}
        self._joined: dict[tuple[str, str], dict[str, Day]] = defaultdict(dict)
        self._first: dict[tuple[str, str], Naming] = {}

    async def roster(self, tenant: str, cohort_id: str, *, since: Day) -> Roster:
        version, cohort = self._cohorts.get((tenant, cohort_id), (0, NO_COHORT))
        joined = self._joined.get((tenant, cohort_id), {})
        members = frozenset(student_id for student_id, day in joined.items() if day >= since)
        return Roster(version, cohort, members, self._first.get((tenant, cohort_id)))

    async def put(self, tenant: str, cohort_id: str, version: int, cohort: Cohort) -> bool:
        if self._cohorts.get((tenant, cohort_id), (0, NO_COHORT))[0] != version:
            return False
        self._cohorts[tenant, cohort_id] = (version + 1, cohort)
        return True

    async def put_into(self, key: StudentKey) -> frozenset[str]:
        return frozenset(
            cohort_id
            for (tenant, cohort_id), (_, cohort) in self._cohorts.items()
            if tenant == key.tenant and key.student_id in cohort.put
        )

    async def taught_by(self, tenant: str, name: str) -> frozenset[str]:
        return frozenset(
            cohort_id
            for (other, cohort_id), (_, cohort) in self._cohorts.items()
            if other == tenant and name in cohort.taught_by
        )

    async def calendars(
        self, named: Mapping[DocumentKey, Sequence[str]], *, since: Day
    ) -> list[Mapping[str, Sequence[Due]]]:
        return [await self._calendars_of(key, own, since) for key, own in named.items()]

    async def _calendars_of(self, key: DocumentKey, named: Sequence[str], since: Day) -> Mapping[str, Sequence[Due]]:
        calendars: dict[str, Sequence[Due]] = {}
        for cohort_id in (await self.put_into(key.student)).union(named):
            _, cohort = self._cohorts.get((key.tenant, cohort_id), (0, NO_COHORT))
            day = self._joined.get((key.tenant, cohort_id), {}).get(key.student_id)
            joined = (key.student_id,) if day is not None and day >= since else ()
            course_id = course_of_cohort(cohort, self._first.get((key.tenant, cohort_id)))
            if course_id == key.course_id and cohort.calendar and key.student_id in cohort.members(joined):
                calendars[cohort_id] = cohort.calendar
        return calendars

    async def join(self, joins: Sequence[Join]) -> Sequence[Join]:
        refused = []
        for join in joins:
            name = (join.key.tenant, join.cohort_id)
            joined = self._joined[name]
            self._first[name] = min(join.first, self._first.get(name, join.first))
            if join.key.student_id in joined or len(joined) < MOST_MEMBERS:
                joined[join.key.student_id] = max(joined.get(join.key.student_id, 0), join.day)
            else:
                refused.append(join)
        return refused

    async def leave(self, key: StudentKey, cohort_ids: Iterable[str]) -> None:
        for cohort_id in cohort_ids:
            self._joined[key.tenant, cohort_id].pop(key.student_id, None)

    async def clear_joins(self) -> None:
        self._joined.clear()

    async def purge(self, before: Day) -> None:
        for joined in self._joined.values():
            for student_id in [student_id for student_id, day in joined.items() if day < before]:
                del joined[student_id]
        self._first = {name: first for name, first in self._first.items() if self._joined.get(name)}
