"""The answers of knowledge tracing."""

from typing import Annotated

import msgspec
from msgspec import Meta

from mastery_engine.responses.scores import Score


class SkillState(msgspec.Struct, frozen=True):
    """One skill. ``probability`` is that of a right next answer, ``forgotten`` how much it has sunk since the last.

    ``uncertainty`` is the standard deviation of the probability's log-odds.
    """

    skill: str
    probability: Score
    uncertainty: Annotated[float, Meta(ge=0.0)]
    forgotten: Score
    last_practised: str
    answers: int


class StudentSkills(msgspec.Struct, frozen=True):
    """The skills that a student has answers on, the best known first."""

    student_id: str
    skills: list[SkillState]
