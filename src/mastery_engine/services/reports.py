"""Reports: the explanation of a score, and several students at a glance."""

import asyncio
from collections.abc import Sequence
from typing import Final

from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock
from mastery_engine.domain.cohorts.cohort import Risk, Standing, risk, standing
from mastery_engine.domain.evidence.explanation import costs
from mastery_engine.domain.evidence.score import mastery_score
from mastery_engine.domain.evidence.shown import at_least, shown_score
from mastery_engine.domain.rules import Component, Rules
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import InvalidInput
from mastery_engine.responses.reports import ClassGlance, Cost, Explanation, Glance
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.consents import Consents
from mastery_engine.services.students import Students

MOST_STUDENTS = 200
MOST_OWN = 1_000
AT_ONCE = 50

WHAT_MOVES: Final[dict[Component, str]] = {
    "completion": "finish open exercises; harder ones weigh more",
    "quiz": "take quizzes; the weight of old results halves every 14 days, so new ones soon outweigh them",
    "quality": "hand in reviewed code; the weight of old reviews halves every 14 days",
    "consistency": "work on more days; each day counts 0.9 times as much as the day after it",
}


class Reports:
    """Reads students, and records every read in the audit trail."""

    def __init__(
        self, students: Students, consents: Consents, access: AccessControl, rules: Rules, clock: Clock
    ) -> None:
        self._students = students
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
        found: list[Glance] = []
        unknown: list[str] = []
        now = caller.moment(self._clock)
        students = await self._students.load(caller, chosen)
        await self._consents.refresh_lately(now)
        for place, (student_id, student) in enumerate(zip(chosen, students, strict=True)):
            if place % AT_ONCE == 0:
                await asyncio.sleep(0)  # let other calls run
            stands = standing(student_id, student, now, self._rules)
            if stands is None:
                unknown.append(student_id)
            else:
                may = self._consents.state(StudentKey(caller.tenant, student_id)).profiling
                found.append(self._at_a_glance(stands, risk(stands) if may else None))
        found.sort(key=lambda one: (-one.risk, one.mastery_score, one.student_id))
        mean = round(sum(one.mastery_score for one in found) / len(found), 4) if found else None
        return ClassGlance(found, unknown, mean)

    def _at_a_glance(self, one: Standing, at_risk: Risk | None) -> Glance:
        return Glance(
            one.student_id,
            shown_score(one.score, self._rules),
            self._rules.levels[one.rank].name,
            one.trend,
            0.0 if at_risk is None else at_risk.value,
            [] if at_risk is None else [message for _, message in at_risk.reasons],
        )
