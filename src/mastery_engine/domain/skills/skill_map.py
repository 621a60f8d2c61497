"""Where a student stands in the course, skill by skill, as far as the course goes."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import Skill
from mastery_engine.domain.skills.estimates import MASTERED, Outlook

State: TypeAlias = Literal["mastered", "known", "fading", "begun", "ready", "later"]


class Place(msgspec.Struct, frozen=True, gc=False):
    """A skill of the course; ``probability`` is that of a right next answer, None where nothing was seen of it.

    ``ready`` may be begun, since all that it asks for first is known; ``later`` may not yet.
    """

    skill: Skill
    state: State
    probability: float | None


def skill_map(view: Outlook, answered: Mapping[str, float]) -> list[Place]:
    """Every skill of the course, each after its prerequisites.

    ``answered`` has the probabilities of skills with answers, also where there are too few to be an estimate.
    """
    places = []
    for name, skill in view.curriculum.skills.items():
        one = view.estimates.get(name)
        probability = answered.get(name) if one is None else one.probability
        places.append(Place(skill, _state(view, name, name in answered), probability))
    return places


def _state(view: Outlook, name: str, is_answered: bool) -> State:
    one = view.estimates.get(name)
    if one is not None and one.fading:
        return "fading"
    if one is not None and one.probability >= MASTERED:
        return "mastered"
    if view.knows(name):
        return "known"
    if one is not None or is_answered:
        return "begun"
    return "ready" if all(map(view.knows, view.curriculum.skills[name].prerequisites)) else "later"
