"""Reports: the explanation of a score, and several students at a glance."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.standing import Standing, those_who_need_help_first
from mastery_engine.domain.evidence.explanation import costs
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.evidence.shown import at_least, shown_score
from mastery_engine.domain.rules import Component, Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import InvalidInput
from mastery_engine.responses.cohorts import mean_score
from mastery_engine.responses.help import reasons
from mastery_engine.responses.reports import ClassGlance, Cost, Explanation, Glance
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.consents import Consents
from mastery_engine.services.member_standings import MemberStandings
from mastery_engine.services.students import Students

MOST_STUDENTS = 200
MOST_OWN = 1_000

WHAT_MOVES: Final[dict[Component, str]] = {
    "completion": "finish open exercises; harder ones weigh more",
    "quiz": "take quizzes; the weight of old results halves every 14 days, so new ones soon outweigh them",
    "quality": "hand in reviewed code; the weight of old reviews halves every 14 days",
    "consistency": "work on more days; each day counts 0.9 times as much as the day after it",
}


class Reports:
    """Reads students, and records every read in the audit trail."""

    def __init__(
        self,
        students: Students,
        members: MemberStandings,
        consents: Consents,
        access: AccessControl,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._students = students
        self._members = members
        self._consents = consents
        self._access = access
        self._rules = rules
        self._clock = clock

    async def explain(self, caller: Caller, student_id: str) -> Explanation:
        """Why a student's score is what it is. Raises NotFound and Forbidden."""
        self._access.check_student(caller, Act.READ, student_id, "explain")
        now = caller.moment(self._clock)
        student = await self._students.known(caller, student_id, now)
        score = mastery_score(student.evidence, now, self._rules)
        shown = shown_score(score.score, self._rules)
        above = next(iter(self._rules.levels[score.rank + 1 :]), None)
        return Explanation(
            student_id,
            shown,
            score.level,
            round(score.coverage, 4),
            None if above is None else above.name,
            None if above is None else at_least(above.from_score - shown),
            [
                Cost(
                    one.component,
                    round(one.value, 4),
                    one.weight,
                    round(one.cost, 4),
                    one.has_evidence,
                    None if one.needed is None else at_least(one.needed),
                    WHAT_MOVES[one.component],
                )
                for one in costs(score, self._rules)
            ],
        )

    async def own(self, caller: Caller) -> ClassGlance:
        """All students of a teacher at a glance; of more than 1,000 only the first by id."""
        return await self._glance(caller, sorted(caller.students)[:MOST_OWN])

    async def glance(self, caller: Caller, student_ids: Sequence[str]) -> ClassGlance:
        """At most 200 students at a glance. Raises InvalidInput, and Forbidden if the caller may not read one."""
        chosen = list(dict.fromkeys(student_ids))
        if not 1 <= len(chosen) <= MOST_STUDENTS:
            raise InvalidInput(f"student_ids must have 1 to {MOST_STUDENTS} ids.", field="student_ids")
        return await self._glance(caller, chosen)

    async def _glance(self, caller: Caller, chosen: Sequence[str]) -> ClassGlance:
        for student_id in chosen:
            self._access.check_student(caller, Act.READ, student_id, "glance")
        now = caller.moment(self._clock)
        standings = await self._members.of(caller.tenant, chosen, now)
        known = {one.student_id for one in standings}
        profiled = [
            one for one in standings if self._consents.state(StudentKey(caller.tenant, one.student_id)).profiling
        ]
        return ClassGlance(
            [self._at_a_glance(one) for one in sorted(standings, key=those_who_need_help_first)],
            [student_id for student_id in chosen if student_id not in known],
            mean_score(profiled),
            dict(Counter(self._rules.levels[one.rank].name for one in profiled)),
        )

    def _at_a_glance(self, one: Standing) -> Glance:
        return Glance(
            one.student_id,
            shown_score(one.score, self._rules),
            self._rules.levels[one.rank].name,
            one.trend,
            one.severity,
            reasons(one.signs),
        )
