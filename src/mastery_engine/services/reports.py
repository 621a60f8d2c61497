"""Explanations of a score, and several students at a glance."""

import asyncio
from collections.abc import Sequence
from typing import Final

from mastery_engine.auth.access import Act, Caller
from mastery_engine.domain.cohorts.cohort import Risk, Standing, risk, standing
from mastery_engine.domain.evidence.explanation import costs, missing
from mastery_engine.domain.evidence.score import mastery as mastery_of
from mastery_engine.domain.rules import Component
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import InvalidInput
from mastery_engine.responses.reports import ClassGlance, Cost, Explanation, Glance
from mastery_engine.services.mastery import Mastery

MOST_STUDENTS = 200
MOST_OWN = 1_000
AT_ONCE = 50

WHAT_MOVES: Final[dict[Component, str]] = {
    "completion": "finish open exercises; harder ones weigh more",
    "quiz": "take quizzes; old ones fade with a half-life of 14 days, so new results soon outweigh them",
    "quality": "hand in reviewed code; old reviews fade with a half-life of 14 days",
    "consistency": "work on more days; each day back counts 0.9 of the one after it",
}


class Reports:
    """Read only; every student that is looked at goes on record."""

    def __init__(self, mastery: Mastery) -> None:
        self._mastery = mastery

    async def explain(self, caller: Caller, student_id: str) -> Explanation:
        """Raises NotFound, Forbidden."""
        mastery = self._mastery
        mastery.check_student(caller, Act.READ, student_id, "explain")
        student = await mastery.known(caller, student_id)
        score = mastery_of(student.evidence, mastery.clock(), mastery.rules)
        lacking = missing(score, mastery.rules)
        return Explanation(
            student_id,
            round(score.score, 4),
            score.level,
            round(score.coverage, 4),
            None if lacking is None else mastery.rules.levels[score.rank + 1].name,
            None if lacking is None else round(lacking, 4),
            [
                Cost(
                    one.component,
                    round(one.value, 4),
                    one.weight,
                    round(one.cost, 4),
                    one.has_evidence,
                    None if one.needed is None else round(one.needed, 4),
                    WHAT_MOVES[one.component],
                )
                for one in costs(score, mastery.rules)
            ],
        )

    async def own(self, caller: Caller) -> ClassGlance:
        """All whom a teacher's token names; of more than 1,000 the first by id."""
        return await self._glance(caller, sorted(caller.students)[:MOST_OWN])

    async def glance(self, caller: Caller, student_ids: Sequence[str]) -> ClassGlance:
        """At most 200 students, each of them one that the caller may read. Raises InvalidInput, Forbidden."""
        chosen = list(dict.fromkeys(student_ids))
        if not 1 <= len(chosen) <= MOST_STUDENTS:
            raise InvalidInput(f"Name 1 to {MOST_STUDENTS} students.", field="student_ids")
        return await self._glance(caller, chosen)

    async def _glance(self, caller: Caller, chosen: Sequence[str]) -> ClassGlance:
        mastery = self._mastery
        for student_id in chosen:
            mastery.check_student(caller, Act.READ, student_id, "glance")
        found: list[Glance] = []
        unknown: list[str] = []
        students = await mastery.students(caller, chosen)
        await mastery.consents.refresh_lately()
        for place, (student_id, student) in enumerate(zip(chosen, students, strict=True)):
            if place % AT_ONCE == 0:
                await asyncio.sleep(0)  # others are waiting for answers
            stands = standing(student_id, student, mastery.clock(), mastery.rules)
            if stands is None:
                unknown.append(student_id)
            else:
                may = mastery.consents.state(StudentKey(caller.tenant, student_id)).profiling
                found.append(self._at_a_glance(stands, risk(stands) if may else None))
        found.sort(key=lambda one: (-one.risk, one.mastery_score, one.student_id))
        mean = round(sum(one.mastery_score for one in found) / len(found), 4) if found else None
        return ClassGlance(found, unknown, mean)

    def _at_a_glance(self, one: Standing, at_risk: Risk | None) -> Glance:
        return Glance(
            one.student_id,
            round(one.score, 4),
            self._mastery.rules.levels[one.rank].name,
            one.trend,
            0.0 if at_risk is None else at_risk.value,
            [] if at_risk is None else [message for _, message in at_risk.reasons],
        )
