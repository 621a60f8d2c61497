"""The skill map: where a student stands in the course, skill by skill."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import Skill
from mastery_engine.domain.skills.estimates import MASTERED, Outlook

State: TypeAlias = Literal["mastered", "known", "fading", "begun", "ready", "later"]


class SkillStatus(msgspec.Struct, frozen=True, gc=False):
    """A skill of the course; ``probability`` is that of a right next answer, None if there was no evidence.

    A ``ready`` skill can be begun, since its prerequisites are known; a ``later`` one cannot yet.
    """

    skill: Skill
    state: State
    probability: float | None


def skill_map(view: Outlook, answered: Mapping[str, float]) -> list[SkillStatus]:
    """The state of every skill of the course, each after its prerequisites.

    ``answered`` has the probabilities of all skills with answers, even if there are too few for an estimate.
    """
    places = []
    for name, skill in view.curriculum.skills.items():
        one = view.estimates.get(name)
        probability = answered.get(name) if one is None else one.probability
        places.append(SkillStatus(skill, _state(view, name, name in answered), probability))
    return places


def _state(view: Outlook, name: str, is_answered: bool) -> State:
    one = view.estimates.get(name)
    if one is not None and one.needs_review:
        return "fading"
    if one is not None and one.probability >= MASTERED:
        return "mastered"
    if view.knows(name):
        return "known"
    if one is not None or is_answered:
        return "begun"
    return "ready" if all(map(view.knows, view.curriculum.skills[name].prerequisites)) else "later"
