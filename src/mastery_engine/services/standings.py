"""Cohort analytics: where a student stands in a cohort, and how a cohort fares.

A cohort's standings are kept in memory, each with the version of the document it came from: a read asks the store for
its members' versions and works anew those that changed, and on a new day (scores fall with the days) all. No call reads
another student than the cohort's members.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.auth.access import TABLE, Act, Caller, Reach, not_your_cohort
from mastery_engine.domain.cohorts.cohort import Risk, Standing, place, risk, standing
from mastery_engine.domain.moments import MINUTE, Day, Micros, day_of, iso_date
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import NotFound
from mastery_engine.ports.documents import Roster
from mastery_engine.responses.cohorts import (
    AtRisk,
    CohortFigures,
    Comparison,
    ComponentPlaces,
    Reason,
    component_place,
    shown_percentile,
)
from mastery_engine.responses.scores import Components
from mastery_engine.services.cohorts import Cohorts, make_cursor, read_cursor
from mastery_engine.services.mastery import Mastery

Metric: TypeAlias = Literal["overall", "by_component"]

LEAST_TO_COMPARE = 5
MOST_KEPT = 200_000
PAGE = 500
KEPT_FOR: Micros = 5 * MINUTE


class _Worked(msgspec.Struct):
    """A cohort's standings of one day, by student, each with the version of its document; worked anew after a while."""

    day: Day
    at: Micros
    standings: dict[str, tuple[int, Standing | None]]


class Standings:
    """The standings of the cohorts that were asked for lately."""

    def __init__(self, mastery: Mastery, cohorts: Cohorts) -> None:
        self._mastery = mastery
        self._cohorts = cohorts
        self._worked: OrderedDict[tuple[str, str], _Worked] = OrderedDict()
        self._kept = 0

    async def compare(self, caller: Caller, student_id: str, cohort_id: str, metric: Metric = "overall") -> Comparison:
        """Where a student stands. Raises NotFound where they are not in the cohort, or nothing is known of them.

        A student sees nothing of a cohort that is not their own, or too small to hide the others in: Forbidden.
        """
        self._cohorts.check(caller, Act.COMPARE, cohort_id, "compare", student_id)
        roster = await self._cohorts.roster(caller.tenant, cohort_id)
        found = await self._standings(caller.tenant, cohort_id, roster)
        is_for_self = TABLE[Act.COMPARE][caller.role] is Reach.SELF
        if is_for_self and (student_id not in roster.members or len(found) < LEAST_TO_COMPARE):
            self._mastery.trail.note(caller, "compare", student_id, allowed=False)
            raise not_your_cohort()
        self._mastery.trail.note(caller, "compare", student_id, allowed=True)
        await self._mastery.check_profiling(caller.tenant, student_id)
        mine = next((one for one in found if one.student_id == student_id), None)
        if mine is None:
            raise NotFound("The student is not in this cohort, or nothing is known of them yet.", field="student_id")
        overall = place(mine.score, [one.score for one in found])
        return Comparison(
            student_id,
            cohort_id,
            metric,
            iso_date(day_of(self._mastery.clock())),
            round(mine.score, 4),
            self._level(mine),
            round(overall.average, 4),
            shown_percentile(overall),
            overall.rank,
            overall.size,
            _by_component(mine, found) if metric == "by_component" else None,
        )

    async def cohort(
        self, caller: Caller, cohort_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> CohortFigures:
        """How a cohort fares, with a page of those who need help. Raises NotFound where nobody has named it."""
        self._cohorts.check(caller, Act.COHORT, cohort_id, "cohort-analytics")
        self._mastery.trail.note(caller, "cohort-analytics", None, allowed=True)
        roster = await self._cohorts.known(caller.tenant, cohort_id)
        found = await self._standings(caller.tenant, cohort_id, roster)
        after = read_cursor(cursor, tuple[float, str])
        at_risk = sorted(filter(None, map(risk, found)), key=_most_at_risk)
        page = [one for one in at_risk if after is None or _most_at_risk(one) > after][: limit + 1]
        for one in page[:limit]:
            self._mastery.trail.note(caller, "cohort-analytics", one.standing.student_id, allowed=True)
        counted = Counter(one.rank for one in found)
        return CohortFigures(
            cohort_id,
            roster.cohort.name or cohort_id,
            iso_date(day_of(self._mastery.clock())),
            len(roster.members),
            len(found),
            _mean([one.score for one in found]) if found else None,
            {level.name: counted[rank] for rank, level in enumerate(self._mastery.rules.levels)},
            Components(*(_mean(column) for column in _columns(found))) if found else None,
            len(at_risk),
            [self._shown(one) for one in page[:limit]],
            make_cursor(_most_at_risk(page[limit - 1])) if len(page) > limit else None,
        )

    async def _standings(self, tenant: str, cohort_id: str, roster: Roster) -> list[Standing]:
        """The members of whom something is known, by id, as of today."""
        mastery = self._mastery
        await mastery.consents.refresh_lately()
        now = mastery.clock()
        members = sorted(one for one in roster.members if mastery.consents.state(StudentKey(tenant, one)).profiling)
        known = self._take(tenant, cohort_id, now)
        fresh: dict[str, tuple[int, Standing | None]] = {}
        changed = [one for one in members if one not in known.standings]
        remembered = [one for one in members if one in known.standings]
        for start in range(0, len(remembered), PAGE):
            page = remembered[start : start + PAGE]
            versions = await mastery.store.versions([StudentKey(tenant, one) for one in page])
            for student_id, version in zip(page, versions, strict=True):
                if known.standings[student_id][0] == version:
                    fresh[student_id] = known.standings[student_id]
                elif version:
                    changed.append(student_id)
        for start in range(0, len(changed), PAGE):
            page = changed[start : start + PAGE]
            loaded = await mastery.store.load([StudentKey(tenant, one) for one in page])
            for student_id, held in zip(page, loaded, strict=True):
                if held is not None:
                    fresh[student_id] = (held.version, standing(student_id, held.student, now, mastery.rules))
            await asyncio.sleep(0)  # others' calls come between the pages of a large cohort
        self._put(tenant, cohort_id, _Worked(known.day, known.at, fresh))
        return [one for one in (fresh[name][1] for name in members if name in fresh) if one is not None]

    def _take(self, tenant: str, cohort_id: str, now: Micros) -> _Worked:
        """What is known of a cohort today; nothing after a while, since a replay may number documents as before."""
        known = self._worked.get((tenant, cohort_id))
        if known is None or known.day != day_of(now) or not known.at <= now < known.at + KEPT_FOR:
            return _Worked(day_of(now), now, {})
        return known

    def _put(self, tenant: str, cohort_id: str, worked: _Worked) -> None:
        before = self._worked.pop((tenant, cohort_id), None)
        self._kept += len(worked.standings) - (len(before.standings) if before else 0)
        self._worked[tenant, cohort_id] = worked
        while self._kept > MOST_KEPT:
            _, oldest = self._worked.popitem(last=False)
            self._kept -= len(oldest.standings)

    def _level(self, one: Standing) -> str:
        return self._mastery.rules.levels[one.rank].name

    def _shown(self, one: Risk) -> AtRisk:
        reasons = [msgspec.convert({"code": code, "message": message}, Reason) for code, message in one.reasons]
        score = round(one.standing.score, 4)
        return AtRisk(one.standing.student_id, score, self._level(one.standing), one.value, reasons)


def _by_component(mine: Standing, found: Sequence[Standing]) -> ComponentPlaces:
    places = (place(value, column) for value, column in zip(mine.components, _columns(found), strict=True))
    return ComponentPlaces(*map(component_place, places))


def _columns(found: Sequence[Standing]) -> list[list[float]]:
    """The values of each component."""
    return [[one.components[number] for one in found] for number in range(4)]


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)


def _most_at_risk(one: Risk) -> tuple[float, str]:
    return (-one.value, one.standing.student_id)
