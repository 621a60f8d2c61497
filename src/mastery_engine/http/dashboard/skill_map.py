"""The skill map: the skills of each module with the student's place in them."""

from collections.abc import Sequence

import msgspec

from mastery_engine.domain.courses.curriculum import Module, Skill
from mastery_engine.domain.skills.skill_map import State
from mastery_engine.responses.skills import SkillState
from mastery_engine.services.skills import SkillPlace

KNOWN: frozenset[State] = frozenset(("mastered", "known", "fading"))


class PlacedSkill(msgspec.Struct, frozen=True):
    """A skill on the map; ``needs`` are the titles of its prerequisites that are not known yet."""

    skill: Skill
    state: State
    known: SkillState
    needs: list[str]


class MapModule(msgspec.Struct, frozen=True):
    """A module on the map, and how many of its skills are known."""

    title: str
    places: list[PlacedSkill]
    known: int


def mapped(modules: Sequence[Module], places: Sequence[SkillPlace]) -> list[MapModule]:
    """The modules in the order of the course."""
    by_id = {one.skill.id: one for one in places}
    found = []
    for module in modules:
        of_module = [by_id[skill.id] for skill in module.skills if skill.id in by_id]
        placed = [PlacedSkill(one.skill, one.state, one.known, _needs(one, by_id)) for one in of_module]
        found.append(MapModule(module.title, placed, sum(one.state in KNOWN for one in of_module)))
    return found


def _needs(one: SkillPlace, by_id: dict[str, SkillPlace]) -> list[str]:
    needed = [by_id[name] for name in one.skill.prerequisites if name in by_id]
    return [other.skill.title for other in needed if other.state not in KNOWN]
