"""The skill map: where a student stands in the course, skill by skill."""

from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import Skill
from mastery_engine.domain.skills.estimates import KNOWN, Outlook, SkillEstimate

State: TypeAlias = Literal["mastered", "known", "fading", "begun", "ready", "later"]


class SkillStatus(msgspec.Struct, frozen=True, gc=False):
    """A skill of the course, its state, and the estimate that the state follows from.

    A ``ready`` skill can be begun, since its prerequisites are known; a ``later`` one cannot yet.
    """

    skill: Skill
    state: State
    estimate: SkillEstimate


def skill_map(view: Outlook) -> list[SkillStatus]:
    """The state of every skill of the course, each after its prerequisites."""
    skills = view.curriculum.skills
    return [
        SkillStatus(skills[name], _state(view, name, estimate), estimate) for name, estimate in view.of_course().items()
    ]


def _state(view: Outlook, name: str, estimate: SkillEstimate) -> State:
    if estimate.needs_review:
        return "fading"
    if estimate.is_mastered:
        return "mastered"
    if view.knows(name) and estimate.probability >= KNOWN:
        return "known"
    if estimate.last_practised is not None:
        return "begun"
    return "ready" if all(map(view.knows, view.curriculum.skills[name].prerequisites)) else "later"
