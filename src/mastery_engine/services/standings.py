"""Cohort analytics: where a student stands in a cohort, and the figures of a cohort.

The standings of a cohort are cached, each with the version of the document it was computed from: in this process, and
for all replicas in the result cache. A call reads the versions of the members' documents and computes again the
standings whose documents have changed; on a new day it computes all, since scores fall over time. No call reads other
students than the members of the cohort.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec
from cachetools import LRUCache

from mastery_engine.auth.access import TABLE, Act, Caller, Reach, not_your_cohort
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.cohort import Risk, Standing, ranking, risk, standing
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.moments import MINUTE, Day, Micros, day_of, iso_date
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import NotFound
from mastery_engine.ports.cohorts import Roster
from mastery_engine.ports.documents import DocumentStore
from mastery_engine.ports.result_cache import ResultCache, ResultKey
from mastery_engine.responses.cohorts import (
    AtRisk,
    CohortFigures,
    Comparison,
    ComponentPlaces,
    Reason,
    as_students_see,
    component_place,
    shown_percentile,
)
from mastery_engine.responses.cursors import make_cursor, read_cursor
from mastery_engine.responses.scores import Components
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents

Metric: TypeAlias = Literal["overall", "by_component"]
ByStudent: TypeAlias = dict[str, tuple[int, Standing | None]]

LEAST_TO_COMPARE = 5
MOST_STANDINGS = 200_000
PAGE = 500
CACHED_FOR: Micros = 5 * MINUTE
KIND = "standings"
SHARED_FROM = 20  # if less than a twentieth is new, other replicas compute it as quickly as they would read it all

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ByStudent).decode


class CachedStandings(msgspec.Struct):
    """A cohort's standings of one day by student, each with the version of its document; dropped after 5 minutes."""

    day: Day
    at: Micros
    standings: ByStudent


class Standings:
    """Computes the standings of cohorts, and caches those of the cohorts last asked for."""

    def __init__(
        self,
        documents: DocumentStore,
        cohorts: Cohorts,
        consents: Consents,
        access: AccessControl,
        audit: Audit,
        results: ResultCache,
        rules: Rules,
        clock: Clock,
        *,
        most: int = MOST_STANDINGS,
    ) -> None:
        self._documents = documents
        self._cohorts = cohorts
        self._consents = consents
        self._access = access
        self._audit = audit
        self._results = results
        self._rules = rules
        self._clock = clock
        self._basis = derived_id(repr(rules))
        self._cached: LRUCache[tuple[str, str], CachedStandings] = LRUCache(most, getsizeof=_size)

    async def compare(self, caller: Caller, student_id: str, cohort_id: str, metric: Metric = "overall") -> Comparison:
        """Where a student stands in a cohort. Raises NotFound if they are not in it, or nothing is known about them.

        Students get no figures that would tell another's score. Raises Forbidden if a student asks about a cohort that
        is not their own, or too small to hide the other members.
        """
        self._access.check_cohort(caller, Act.COMPARE, cohort_id, "compare", student_id)
        now = caller.moment(self._clock)
        roster = await self._cohorts.roster(caller.tenant, cohort_id, now)
        standings = await self._standings(caller.tenant, cohort_id, roster, now)
        is_for_self = TABLE[Act.COMPARE][caller.role] is Reach.SELF
        if is_for_self and (student_id not in roster.members or len(standings) < LEAST_TO_COMPARE):
            self._audit.note(caller, "compare", student_id, allowed=False)
            raise not_your_cohort()
        self._audit.note(caller, "compare", student_id, allowed=True)
        await self._consents.check_profiling(StudentKey(caller.tenant, student_id), now)
        own = next((standing for standing in standings if standing.student_id == student_id), None)
        if own is None:
            raise NotFound("The student is not in this cohort, or nothing is known about them yet.", field="student_id")
        overall = ranking(own.score, [standing.score for standing in standings])
        comparison = Comparison(
            student_id,
            cohort_id,
            metric,
            iso_date(day_of(now)),
            shown_score(own.score, self._rules),
            self._level(own),
            round(overall.average, 4),
            shown_percentile(overall),
            overall.rank,
            overall.size,
            _by_component(own, standings) if metric == "by_component" else None,
        )
        return as_students_see(comparison, overall.size) if is_for_self else comparison

    async def cohort(
        self, caller: Caller, cohort_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> CohortFigures:
        """The figures of a cohort, with a page of those who need help. Raises NotFound if there is no such cohort."""
        self._access.check_cohort(caller, Act.COHORT, cohort_id, "cohort-analytics")
        self._audit.note(caller, "cohort-analytics", None, allowed=True)
        now = caller.moment(self._clock)
        roster = await self._cohorts.known_roster(caller.tenant, cohort_id, now)
        standings = await self._standings(caller.tenant, cohort_id, roster, now)
        after = read_cursor(cursor, tuple[float, str])
        at_risk = sorted(filter(None, map(risk, standings)), key=_most_at_risk)
        page = [student for student in at_risk if after is None or _most_at_risk(student) > after][: limit + 1]
        for student in page[:limit]:
            self._audit.note(caller, "cohort-analytics", student.standing.student_id, allowed=True)
        counted = Counter(standing.rank for standing in standings)
        return CohortFigures(
            cohort_id,
            roster.cohort.name or cohort_id,
            iso_date(day_of(now)),
            len(roster.members),
            len(standings),
            _mean([standing.score for standing in standings]) if standings else None,
            {level.name: counted[rank] for rank, level in enumerate(self._rules.levels)},
            Components(*(_mean(column) for column in _columns(standings))) if standings else None,
            len(at_risk),
            [self._shown(student) for student in page[:limit]],
            make_cursor(_most_at_risk(page[limit - 1])) if len(page) > limit else None,
        )

    async def _standings(self, tenant: str, cohort_id: str, roster: Roster, now: Micros) -> list[Standing]:
        """The standings as of today, by id, of the members who are known and allow profiling."""
        await self._consents.refresh_lately(now)
        members = sorted(
            student_id
            for student_id in roster.members
            if self._consents.state(StudentKey(tenant, student_id)).profiling
        )
        versions = await self._versions(tenant, members)
        cached = self._of_this_process(tenant, cohort_id, now)
        fresh = _still_true(cached.standings, versions)
        if len(fresh) < len(versions):
            fresh |= _still_true(await self._of_all_replicas(tenant, cohort_id, cached.day), versions)
        missing = [student_id for student_id in versions if student_id not in fresh]
        if missing:
            fresh |= await self._worked_out(tenant, missing, now)
            if SHARED_FROM * len(missing) >= len(versions):
                key = ResultKey(tenant, cohort_id, KIND)
                await self._results.put(key, self._version(cached.day), _encode(fresh))
        if fresh.keys() != cached.standings.keys() or missing:
            self._put(tenant, cohort_id, CachedStandings(cached.day, cached.at, fresh))
        return [
            standing
            for standing in (fresh[student_id][1] for student_id in members if student_id in fresh)
            if standing is not None
        ]

    async def _versions(self, tenant: str, members: Sequence[str]) -> dict[str, int]:
        """The versions of the members' documents, without members who have none."""
        versions: dict[str, int] = {}
        for start in range(0, len(members), PAGE):
            page = members[start : start + PAGE]
            known = await self._documents.versions([StudentKey(tenant, student_id) for student_id in page])
            versions |= {student_id: version for student_id, version in zip(page, known, strict=True) if version}
        return versions

    async def _worked_out(self, tenant: str, student_ids: Sequence[str], now: Micros) -> ByStudent:
        standings: ByStudent = {}
        for start in range(0, len(student_ids), PAGE):
            page = student_ids[start : start + PAGE]
            stored = await self._documents.load([StudentKey(tenant, student_id) for student_id in page])
            for student_id, document in zip(page, stored, strict=True):
                if document is not None:
                    found = standing(student_id, document.student, now, self._rules)
                    standings[student_id] = (document.version, found)
            await asyncio.sleep(0)  # let other calls run between the pages of a large cohort
        return standings

    def _of_this_process(self, tenant: str, cohort_id: str, now: Micros) -> CachedStandings:
        """The cached standings of today. They expire, since a replay may give documents the same versions again."""
        cached = self._cached.get((tenant, cohort_id))
        if cached is None or cached.day != day_of(now) or not cached.at <= now < cached.at + CACHED_FOR:
            return CachedStandings(day_of(now), now, {})
        return cached

    async def _of_all_replicas(self, tenant: str, cohort_id: str, day: Day) -> ByStudent:
        cached = await self._results.get(ResultKey(tenant, cohort_id, KIND), self._version(day))
        return {} if cached is None else _decode(cached)

    def _version(self, day: Day) -> str:
        """The cache's version: the day and the rules. Each standing has the version of its document beside it."""
        return f"{day}:{self._basis}"

    def _put(self, tenant: str, cohort_id: str, standings: CachedStandings) -> None:
        self._cached.pop((tenant, cohort_id), None)
        if _size(standings) <= self._cached.maxsize:
            self._cached[tenant, cohort_id] = standings

    def _level(self, of: Standing) -> str:
        return self._rules.levels[of.rank].name

    def _shown(self, student: Risk) -> AtRisk:
        reasons = [msgspec.convert({"code": code, "message": message}, Reason) for code, message in student.reasons]
        score = shown_score(student.standing.score, self._rules)
        return AtRisk(student.standing.student_id, score, self._level(student.standing), student.value, reasons)


def _size(cached: CachedStandings) -> int:
    return len(cached.standings)


def _still_true(standings: Mapping[str, tuple[int, Standing | None]], versions: Mapping[str, int]) -> ByStudent:
    """The standings whose documents have not changed since."""
    return {
        student_id: standings[student_id]
        for student_id, version in versions.items()
        if student_id in standings and standings[student_id][0] == version
    }


def _by_component(own: Standing, standings: Sequence[Standing]) -> ComponentPlaces:
    places = (ranking(value, column) for value, column in zip(own.components, _columns(standings), strict=True))
    return ComponentPlaces(*map(component_place, places))


def _columns(standings: Sequence[Standing]) -> list[list[float]]:
    """The members' values of the score and of each component, one list each."""
    return [[standing.components[number] for standing in standings] for number in range(4)]


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)


def _most_at_risk(student: Risk) -> tuple[float, str]:
    return (-student.value, student.standing.student_id)
