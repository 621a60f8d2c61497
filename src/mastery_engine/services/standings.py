"""Cohort analytics: where a student stands in a cohort, and the figures of a cohort.

No call reads other students than the members of the cohort.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

from mastery_engine.auth.access import TABLE, Act, Caller, Reach, not_your_cohort
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.cohort import ranking
from mastery_engine.domain.cohorts.standing import Standing, worst_first
from mastery_engine.domain.courses.course_key import CourseKey
from mastery_engine.domain.evidence.shown import shown_score
from mastery_engine.domain.moments import iso_date
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import NotFound
from mastery_engine.ports.cohorts import Roster
from mastery_engine.responses.cohorts import (
    AtRisk,
    CohortFigures,
    Comparison,
    ComponentPlaces,
    as_students_see,
    component_place,
    mean_score,
    shown_percentile,
)
from mastery_engine.responses.cursors import make_cursor, read_cursor
from mastery_engine.responses.help import reasons
from mastery_engine.responses.scores import Components
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.cohorts import Cohorts
from mastery_engine.services.consents import Consents
from mastery_engine.services.courses import Courses
from mastery_engine.services.member_standings import MemberStandings
from mastery_engine.services.profiles import Profiles

Metric: TypeAlias = Literal["overall", "by_component"]

LEAST_TO_COMPARE = 5


class Standings:
    """Compares members with their cohort, and sums cohorts up."""

    def __init__(
        self,
        members: MemberStandings,
        cohorts: Cohorts,
        consents: Consents,
        profiles: Profiles,
        access: AccessControl,
        audit: Audit,
        courses: Courses,
        clock: Clock,
    ) -> None:
        self._members = members
        self._cohorts = cohorts
        self._consents = consents
        self._profiles = profiles
        self._access = access
        self._audit = audit
        self._courses = courses
        self._clock = clock

    async def compare(self, caller: Caller, student_id: str, cohort_id: str, metric: Metric = "overall") -> Comparison:
        """Where a student stands in a cohort. Raises NotFound if they are not in it, or nothing is known about them.

        Students get no figures that would tell another's score. Raises Forbidden if a student asks about a cohort that
        is not their own, or too small to hide the other members.
        """
        self._access.check_cohort(caller, Act.COMPARE, cohort_id, "compare", student_id)
        now = caller.moment(self._clock)
        roster = await self._cohorts.roster(caller.tenant, cohort_id, now)
        await self._consents.refresh_lately(now)
        profiled = self._profiled(caller.tenant, roster)
        course = await self._courses.of(CourseKey(caller.tenant, roster.course_id), now)
        standings = await self._members.of(course, profiled, now, cohort_id=cohort_id, with_signs=False)
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
            iso_date(course.rules.day_of(now)),
            shown_score(own.score, course.rules),
            course.rules.levels[own.rank].name,
            round(overall.average, 4),
            shown_percentile(overall),
            overall.rank,
            overall.size,
            _by_component(own, standings) if metric == "by_component" else None,
            roster.course_id,
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
        await self._consents.refresh_lately(now)
        course = await self._courses.of(CourseKey(caller.tenant, roster.course_id), now)
        rules = course.rules
        standings = await self._members.of(course, self._profiled(caller.tenant, roster), now, cohort_id=cohort_id)
        after = read_cursor(cursor, tuple[float, str])
        need_help = sorted((standing for standing in standings if standing.signs), key=worst_first)
        page = [student for student in need_help if after is None or worst_first(student) > after][: limit + 1]
        for student in page[:limit]:
            self._audit.note(caller, "cohort-analytics", student.student_id, allowed=True)
        names = await self._profiles.names(caller.tenant, [student.student_id for student in page[:limit]])
        counted = Counter(standing.rank for standing in standings)
        return CohortFigures(
            cohort_id,
            roster.cohort.name or cohort_id,
            iso_date(rules.day_of(now)),
            len(roster.members),
            len(standings),
            mean_score(standings),
            {level.name: counted[rank] for rank, level in enumerate(rules.levels)},
            Components(*(_mean(column) for column in _columns(standings))) if standings else None,
            len(need_help),
            [_shown(student, rules, names.get(student.student_id)) for student in page[:limit]],
            make_cursor(worst_first(page[limit - 1])) if len(page) > limit else None,
        )

    def _profiled(self, tenant: str, roster: Roster) -> list[str]:
        """The members who consent to profiling, as of the last second."""
        return [name for name in roster.members if self._consents.state(StudentKey(tenant, name)).profiling]


def _shown(one: Standing, rules: Rules, name: str | None) -> AtRisk:
    level = rules.levels[one.rank].name
    return AtRisk(one.student_id, shown_score(one.score, rules), level, one.severity, reasons(one.signs), name)


def _by_component(own: Standing, standings: Sequence[Standing]) -> ComponentPlaces:
    places = (ranking(value, column) for value, column in zip(own.components, _columns(standings), strict=True))
    return ComponentPlaces(*map(component_place, places))


def _columns(standings: Sequence[Standing]) -> list[list[float]]:
    """The members' values of the score and of each component, one list each."""
    return [[standing.components[number] for standing in standings] for number in range(4)]


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)
