"""A CASE framework as a curriculum.

``isChildOf`` makes modules: an item without children is a skill, and the item above it is its module; skills that hang
on the document itself are a module of its title. ``precedes`` makes prerequisites, ``exactMatchOf`` other names of the
same skill. CASE says nothing of minutes and difficulty: each skill gets ``MINUTES`` and ``DIFFICULTY``, to be changed
by who knows the course. Sequence numbers order the items below one parent, else their codes do.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from mastery_engine.domain.courses.curriculum import MAX_LENGTH, MAX_SKILLS, Curriculum, Module, Skill, curriculum_of
from mastery_engine.domain.events.kinds import Difficulty
from mastery_engine.domain.given_ids import normal_name
from mastery_engine.doors.case.framework import Association, Framework, Item, Unused, framework_from
from mastery_engine.errors import InvalidInput

MINUTES = 30
DIFFICULTY: Difficulty = "intermediate"

Children: TypeAlias = dict[str, list[str]]
_DIGITS = re.compile(r"(\d+)")


class CaseImport(msgspec.Struct, frozen=True):
    """What a framework became: its title, the curriculum, and what it holds that a curriculum does not."""

    title: str
    curriculum: Curriculum
    unused: tuple[Unused, ...]


def curriculum_from_case(source: bytes) -> CaseImport:
    """The curriculum of a framework.

    Raises InvalidInput where it is no framework, where groups contain each other or skills precede each other, by name,
    and where it has more than ``MAX_SKILLS`` modules and skills.
    """
    framework = framework_from(source)
    unused = list(framework.unused)
    by_kind: dict[str, list[Association]] = defaultdict(list)
    for one in framework.associations:
        by_kind[one.kind].append(one)
    for kind in by_kind.keys() - {"isChildOf", "precedes", "exactMatchOf"}:
        unused += [_unused(one, f"Associations {kind} are not used.") for one in by_kind[kind]]
    children = _children(framework, by_kind["isChildOf"], unused)
    leaves = [name for name in framework.items if name not in children]
    same = _matches(framework, leaves, by_kind["exactMatchOf"], unused)
    names = _names(framework)
    needed = _prerequisites(framework, same, children, by_kind["precedes"], unused)
    skills = {
        name: Skill(
            names[name],
            _title(framework.items[name]),
            tuple([names[one] for one in dict.fromkeys(needed[name])]),
            MINUTES,
            DIFFICULTY,
            (),
        )
        for name in leaves
        if same[name] == name
    }
    modules = _modules(framework, children, names, skills, unused)
    if sum(1 + len(module.skills) for module in modules) > MAX_SKILLS:
        raise InvalidInput(
            f"The framework has {len(skills)} skills in {len(modules)} groups; a course may have at most "
            f"{MAX_SKILLS} of both together: export a part of it, such as one grade.",
            field="CFItems",
        )
    aliases = _aliases(framework, same, names, by_kind["exactMatchOf"], {module.id for module in modules})
    of_name = {names[name]: aliases[name] for name in skills}
    modules = [
        Module(
            one.id,
            one.title,
            tuple([msgspec.structs.replace(skill, aliases=of_name[skill.id]) for skill in one.skills]),
        )
        for one in modules
    ]
    return CaseImport(framework.title, curriculum_of(modules), tuple(unused))


def _children(framework: Framework, associations: Sequence[Association], unused: list[Unused]) -> Children:
    """The children of each item that has any, and those of the document under its identifier, in their order."""
    items, root = framework.items, framework.identifier
    parent: dict[str, Association] = {}
    for one in associations:
        if one.origin not in items:
            unused.append(_unused(one, f"The framework has no item {one.origin}."))
        elif one.destination not in items and one.destination != root:
            unused.append(_unused(one, f"The framework has no item {one.destination}."))
        elif one.origin in parent:
            unused.append(_unused(one, f"{_called(items[one.origin])} is already below another item."))
        else:
            parent[one.origin] = one
    _refuse_circles({name: one.destination for name, one in parent.items()}, items)
    children: Children = defaultdict(list)
    for name in items:
        children[parent[name].destination if name in parent else root].append(name)

    def place(name: str) -> tuple[float, list[tuple[int, int, str]], int]:
        item, above = items[name], parent.get(name)
        sequence = above.sequence if above is not None else None
        return (float("inf") if sequence is None else sequence), _natural(item.listed or item.code), item.order

    for below in children.values():
        below.sort(key=place)
    return dict(children)


def _refuse_circles(parents: dict[str, str], items: dict[str, Item]) -> None:
    fine: set[str] = set()
    for start in parents:
        name, path = start, dict[str, None]()
        while name in parents and name not in fine:
            if name in path:
                circle = [*list(path)[list(path).index(name) :], name]
                raise InvalidInput(
                    f"These items are below each other: {' → '.join(_called(items[one]) for one in circle)}.",
                    field="CFAssociations",
                )
            path[name] = None
            name = parents[name]
        fine.update(path)


def _matches(
    framework: Framework, leaves: Sequence[str], associations: Sequence[Association], unused: list[Unused]
) -> dict[str, str]:
    """For each item the first one that is the same skill: itself where none is."""
    same, skills = {name: name for name in framework.items}, set(leaves)
    for one in associations:
        if one.origin not in framework.items:
            unused.append(_unused(one, f"The framework has no item {one.origin}."))
        elif one.origin not in skills or (one.destination in framework.items and one.destination not in skills):
            unused.append(_unused(one, "It is about a group; only skills have other names."))
        elif one.destination in skills:
            ends = sorted({same[one.origin], same[one.destination]}, key=leaves.index)
            same = {name: ends[0] if first == ends[-1] else first for name, first in same.items()}
    return same


def _prerequisites(
    framework: Framework,
    same: dict[str, str],
    children: Children,
    associations: Iterable[Association],
    unused: list[Unused],
) -> dict[str, list[str]]:
    """For each skill those that precede it."""
    needed: dict[str, list[str]] = defaultdict(list)
    for one in associations:
        missing = [end for end in (one.origin, one.destination) if end not in framework.items]
        if missing:
            unused.append(_unused(one, f"The framework has no item {missing[0]}."))
        elif one.origin in children or one.destination in children:
            unused.append(_unused(one, "It is about a group; only a skill can be the prerequisite of a skill."))
        elif same[one.origin] == same[one.destination]:
            unused.append(_unused(one, "Both ends are the same skill."))
        else:
            needed[same[one.destination]].append(same[one.origin])
    return needed


def _modules(
    framework: Framework, children: Children, names: dict[str, str], skills: dict[str, Skill], unused: list[Unused]
) -> list[Module]:
    """The groups that hold skills, from the top down; the document is one for the skills that hang on it."""
    modules: list[Module] = []
    waiting = [framework.identifier]
    while waiting:
        name = waiting.pop()
        below = children.get(name, [])
        waiting += [one for one in reversed(below) if one in children]
        own = tuple([skills[one] for one in below if one in skills])
        if name == framework.identifier:
            if own:
                modules.append(Module(_own_id(framework, names), _shortened(framework.title) or "Skills", own))
        elif own:
            modules.append(Module(names[name], _title(framework.items[name]), own))
        else:
            reason = "It holds no skill itself: a course has modules and skills, and no level above or between."
            unused.append(Unused("item", name, reason))
    return modules


def _own_id(framework: Framework, names: dict[str, str]) -> str:
    """An id for the document's own module."""
    title = _shortened(framework.title) or "framework"
    return title if title not in names.values() else _shortened(f"{framework.identifier} {title}")


def _names(framework: Framework) -> dict[str, str]:
    """What each item is called in the course: its code where that is its alone, else its identifier."""
    codes: dict[str, int] = defaultdict(int)
    for item in framework.items.values():
        codes[_name(item.code)] += 1
    taken = {name: _name(item.code) for name, item in framework.items.items() if codes[_name(item.code)] == 1}
    return {
        name: taken[name] if taken.get(name) and taken[name] not in framework.items else _name(name) or str(item.order)
        for name, item in framework.items.items()
    }


def _aliases(
    framework: Framework, same: dict[str, str], names: dict[str, str], matches: Sequence[Association], taken: set[str]
) -> dict[str, tuple[str, ...]]:
    """The other names of each skill that are its alone: identifiers, addresses, and those of its exact matches."""
    given: dict[str, list[str]] = defaultdict(list)
    for name, item in framework.items.items():
        given[same[name]] += [names[name], _name(item.code), name, item.uri]
    for one in matches:
        if one.origin in same and one.destination not in same:
            given[same[one.origin]] += [one.destination, one.destination_uri]
    owners: dict[str, set[str]] = defaultdict(set)
    for name, others in given.items():
        for other in others:
            owners[_name(other)].add(name)
    ids = {names[first] for first in same.values()} | taken
    return {
        name: tuple(
            dict.fromkeys(
                alias for alias in map(_name, others) if alias and len(owners[alias]) == 1 and alias not in ids
            )
        )
        for name, others in given.items()
    }


def _name(text: str) -> str:
    """A text as an id; empty where it cannot be one."""
    try:
        return normal_name(text)
    except ValueError:
        return ""


def _title(item: Item) -> str:
    return _shortened(item.short or item.statement)


def _shortened(text: str) -> str:
    """A text of at most ``MAX_LENGTH`` characters, cut between words."""
    if len(text) <= MAX_LENGTH:
        return text
    return (text[: MAX_LENGTH - 1].rsplit(" ", 1)[0])[: MAX_LENGTH - 1] + "…"


def _natural(text: str) -> list[tuple[int, int, str]]:
    """A key that orders 1.2 before 1.10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in _DIGITS.split(text) if part]


def _called(item: Item) -> str:
    return item.code or _title(item)


def _unused(one: Association, reason: str) -> Unused:
    return Unused(f"association {one.kind}", one.identifier, reason)
