"""How well a student knows each skill, as it is sent."""

from typing import Annotated

import msgspec
from msgspec import Meta

from mastery_engine.domain.moments import rfc3339
from mastery_engine.domain.skills.estimates import MOST_UNCERTAIN, Basis, SkillEstimate
from mastery_engine.responses.scores import Score
from mastery_engine.responses.times import MomentText


class SkillState(msgspec.Struct, frozen=True):
    """One skill. ``probability`` is that of a right next answer, ``forgotten`` how much it has sunk since the last.

    ``uncertainty`` is the standard error of the probability. ``basis`` is what weighs most of the student's own
    evidence on the skill: answers or exercises; or the prior, which is what is expected of this student without any.
    ``last_practised`` is null where there is none.
    """

    skill: str
    probability: Score
    uncertainty: Annotated[float, Meta(ge=0.0, le=MOST_UNCERTAIN)]
    forgotten: Score
    last_practised: MomentText | None
    answers: int
    basis: Basis


class StudentSkills(msgspec.Struct, frozen=True):
    """The skills that a student has evidence on, the best known first."""

    student_id: str
    skills: list[SkillState]


def skill_state(skill: str, estimate: SkillEstimate) -> SkillState:
    """An estimate as it is sent."""
    last = estimate.last_practised
    return SkillState(
        skill,
        estimate.probability,
        round(estimate.uncertainty, 4),
        round(estimate.forgotten, 4),
        None if last is None else rfc3339(last),
        estimate.answers,
        estimate.basis,
    )
