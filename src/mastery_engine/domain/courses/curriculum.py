"""The course: modules of skills, with the prerequisites, the minutes and the resources of each.

``curriculum_from`` reads it from YAML and checks it; an error names the line. The skills of a ``Curriculum`` are in an
order in which each comes after its prerequisites.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import reduce
from heapq import heappop, heappush
from itertools import compress
from operator import or_
from typing import TypeAlias, get_args
from zlib import crc32

import msgspec
import yaml

from mastery_engine.domain.events.kinds import Difficulty
from mastery_engine.domain.given_ids import is_address, normal_name
from mastery_engine.domain.yaml_faults import not_yaml
from mastery_engine.errors import InvalidInput

MAX_SKILLS = 1_000
MAX_LENGTH = 100
LONGEST_MINUTES = 10_000
LONGEST_RESOURCE = 500

Node: TypeAlias = yaml.Node


class Skill(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One skill to learn; ``minutes`` is the time it takes from nothing, ``prerequisites`` are ids of skills.

    ``aliases`` are other names of it, such as those of a standard: events may name it by any of them.
    """

    id: str
    title: str
    prerequisites: tuple[str, ...]
    minutes: int
    difficulty: Difficulty
    resources: tuple[str, ...]
    aliases: tuple[str, ...] = ()


class Module(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A part of the course."""

    id: str
    title: str
    skills: tuple[Skill, ...]


class Curriculum(msgspec.Struct, frozen=True):
    """A course. ``skills`` are all of its skills, each after its prerequisites.

    ``before`` maps each skill to all skills that it rests on, ``after`` to the skills that have it as a prerequisite;
    ``members`` maps each module to its skills, ``module_of`` each skill to its module. Sets of skills are also stored
    as whole numbers with a bit for each skill (``bits``); ``below`` is ``before`` in this form. ``rows`` are the skills
    as advice reads them: (skill, its bit, the bits of its prerequisites, minutes); ``opens`` gives for each row the
    rows that have it as a prerequisite. ``named`` maps each alias to its skill.
    ``checksum`` differs for different courses.
    """

    modules: tuple[Module, ...] = ()
    skills: dict[str, Skill] = {}
    before: dict[str, frozenset[str]] = {}
    after: dict[str, tuple[str, ...]] = {}
    members: dict[str, tuple[str, ...]] = {}
    module_of: dict[str, str] = {}
    bits: dict[str, int] = {}
    below: dict[str, int] = {}
    rows: tuple[tuple[str, int, int, int], ...] = ()
    opens: tuple[tuple[int, ...], ...] = ()
    checksum: int = 0
    named: dict[str, str] = {}

    def skills_of(self, topic: str) -> tuple[str, ...]:
        """The skills that a topic stands for: the skill itself, or a module's skills; none if the course lacks it."""
        return (topic,) if topic in self.skills else self.members.get(topic, ())

    def resources(self, area: str) -> tuple[str, ...]:
        """Where a skill, or a module's first skill, is taught."""
        skills = self.skills_of(area)
        return self.skills[skills[0]].resources if skills else ()


NO_CURRICULUM = Curriculum()


def curriculum_of(modules: Sequence[Module]) -> Curriculum:
    """The course of these modules.

    Raises InvalidInput for a cycle, an unknown id, and an id or alias that is used twice.
    """
    known: dict[str, Skill] = {}
    names = {module.id for module in modules}
    for skill in (skill for module in modules for skill in module.skills):
        if skill.id in known or skill.id in names:
            raise InvalidInput(
                f"The id {skill.id!r} is used twice: give each skill and module its own.", field=skill.id
            )
        known[skill.id] = skill
    if len(names) < len(modules):
        raise InvalidInput("Two modules have the same id: give each module its own.", field="modules")
    for skill in known.values():
        for needed in skill.prerequisites:
            if needed not in known:
                raise InvalidInput(
                    f"The skill {skill.id!r} has the prerequisite {needed!r}, which is not a skill of this course.",
                    field=skill.id,
                )
    named = _named(known, names)
    skills = _in_order(known)
    after = {name: tuple(later) for name, later in _dependents(skills.values()).items()}
    members = {module.id: tuple([skill.id for skill in module.skills]) for module in modules}
    module_of = {skill.id: module.id for module in modules for skill in module.skills}
    bits = {name: 1 << place for place, name in enumerate(skills)}

    def set_of(names: Iterable[str]) -> int:
        return sum([bits[name] for name in names])

    below: dict[str, int] = {}
    for name, skill in skills.items():
        below[name] = reduce(or_, [bits[needed] | below[needed] for needed in skill.prerequisites], 0)
    before = {name: frozenset(compress(skills, map(int, f"{below[name]:b}"[::-1]))) for name in skills}
    rows = tuple([(name, bits[name], set_of({*skill.prerequisites}), skill.minutes) for name, skill in skills.items()])
    places = {name: place for place, name in enumerate(skills)}
    opens = tuple([tuple([places[later] for later in after[name]]) for name in skills])
    checksum = crc32(repr(rows).encode())
    return Curriculum(
        tuple(modules), skills, before, after, members, module_of, bits, below, rows, opens, checksum, named
    )


def _dependents(skills: Iterable[Skill]) -> dict[str, list[str]]:
    """The skills that have each skill as a prerequisite, in the order of ``skills``."""
    dependents: dict[str, list[str]] = {skill.id: [] for skill in skills}
    for skill in skills:
        for needed in dict.fromkeys(skill.prerequisites):
            dependents[needed].append(skill.id)
    return dependents


def _in_order(known: Mapping[str, Skill]) -> dict[str, Skill]:
    """The skills, each after its prerequisites, and else as they were given: Kahn's algorithm, first given first out.

    It takes as long as there are prerequisites. Raises InvalidInput for a cycle.
    """
    names = list(known)
    places = {name: place for place, name in enumerate(names)}
    lacking = [len({*skill.prerequisites}) for skill in known.values()]
    dependents = _dependents(known.values())
    ready = [place for place, number in enumerate(lacking) if not number]  # sorted, and so a heap
    ordered: dict[str, Skill] = {}
    while ready:
        name = names[heappop(ready)]
        ordered[name] = known[name]
        for later in dependents[name]:
            lacking[places[later]] -= 1
            if not lacking[places[later]]:
                heappush(ready, places[later])
    if len(ordered) < len(known):
        cycle = _cycle({name: skill for name, skill in known.items() if name not in ordered})
        raise InvalidInput(f"These skills are prerequisites of each other: {' → '.join(cycle)}.", field=cycle[0])
    return ordered


def _named(skills: Mapping[str, Skill], modules: Set[str]) -> dict[str, str]:
    """Each alias with its skill. Raises InvalidInput for one that names something else too."""
    named: dict[str, str] = {}
    for skill in skills.values():
        for alias in skill.aliases:
            if alias in skills or alias in modules or alias in named:
                raise InvalidInput(
                    f"The alias {alias!r} of {skill.id!r} names something else too: give it to one skill.",
                    field=skill.id,
                )
            named[alias] = skill.id
    return named


def _cycle(skills: dict[str, Skill]) -> list[str]:
    """A cycle of prerequisites among skills, each of which has another of them as a prerequisite."""
    path: dict[str, None] = {}
    name = next(iter(skills))
    while name not in path:
        path[name] = None
        name = next(needed for needed in skills[name].prerequisites if needed in skills)
    names = list(path)
    return [*names[names.index(name) :], name]


def curriculum_from(source: bytes | str) -> Curriculum:
    """The course in a YAML document. Raises InvalidInput, which names the line."""
    try:
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidInput(not_yaml(error, source)) from error
    if root is None:
        raise InvalidInput("line 1: The course is empty: list its modules.")
    return curriculum_at(root)


def curriculum_in(value: object) -> Curriculum:
    """The course in what JSON holds: the same rules, and errors that name no line. Raises InvalidInput."""
    return curriculum_at(_node(value))


def curriculum_at(root: Node) -> Curriculum:
    """The course in a part of a YAML document. Raises InvalidInput, which names the line."""
    lines: dict[str, Node] = {}
    modules = [_module(node, lines) for node in _items(_fields(root, {"modules"})["modules"], "modules")]
    if not any(module.skills for module in modules):
        raise _fault(root, "The course has no skills: list at least one.")
    try:
        return curriculum_of(modules)
    except InvalidInput as error:
        raise _fault(lines.get(error.field or "", root), error.message, error.field) from error


def _node(value: object) -> Node:
    """What JSON holds as YAML's nodes, which no line belongs to."""
    if isinstance(value, dict):
        pairs = [(yaml.ScalarNode("", str(key)), _node(one)) for key, one in value.items()]
        return yaml.MappingNode("", pairs)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode("", [_node(one) for one in value])
    return yaml.ScalarNode("", str(value))


def _module(node: Node, lines: dict[str, Node]) -> Module:
    fields = _fields(node, {"id", "title", "skills"})
    name = _new_id(fields["id"], lines)
    return Module(
        name,
        _title(fields["title"]),
        tuple([_skill(one, lines) for one in _items(fields["skills"], "skills")]),
    )


def _skill(node: Node, lines: dict[str, Node]) -> Skill:
    fields = _fields(node, {"id", "title", "prerequisites", "minutes", "difficulty", "resources"}, {"aliases"})
    name = _new_id(fields["id"], lines)
    return Skill(
        name,
        _title(fields["title"]),
        tuple(dict.fromkeys(_id(one, "a prerequisite") for one in _items(fields["prerequisites"], "prerequisites"))),
        _minutes(fields["minutes"]),
        _difficulty(fields["difficulty"]),
        tuple([_address(one) for one in _items(fields["resources"], "resources")]),
        _aliases(fields["aliases"]) if "aliases" in fields else (),
    )


def _aliases(node: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_id(one, "an alias") for one in _items(node, "aliases")))


def _fault(node: Node, words: str, field: str | None = None) -> InvalidInput:
    return InvalidInput(words if node.start_mark is None else f"line {_line(node)}: {words}", field=field)


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _fields(node: Node, names: set[str], optional: Set[str] = frozenset()) -> dict[str, Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _fault(node, f"The fields {_listed(names)} are expected here.")
    known, found = names | optional, dict[str, Node]()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value not in known:
            raise _fault(key, f"The field {key.value!r} is not known; the fields are {_listed(known)}.")
        if key.value in found:
            raise _fault(key, f"The field {key.value!r} is given twice.")
        found[key.value] = value
    missing = names - found.keys()
    if missing:
        raise _fault(node, f"The entry that begins here lacks {_listed(missing)}.")
    return found


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _items(node: Node, what: str) -> Iterator[Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise _fault(node, f"{what} must be a list.")
    yield from node.value


def _text(node: Node, what: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or not 1 <= len(node.value) <= MAX_LENGTH:
        raise _fault(node, f"{what} must be a text of 1 to {MAX_LENGTH} characters.")
    return str(node.value)


def _title(node: Node) -> str:
    try:
        return normal_name(_text(node, "title"))
    except ValueError as error:
        raise _fault(node, f"title {error}.") from error


def _id(node: Node, what: str) -> str:
    """An id in the form that events have it in."""
    try:
        return normal_name(_text(node, what))
    except ValueError as error:
        raise _fault(node, f"{what} {error}.") from error


def _new_id(node: Node, lines: dict[str, Node]) -> str:
    name = _id(node, "id")
    if name in lines:
        where = "" if node.start_mark is None else f" in line {_line(lines[name])}"
        raise _fault(node, f"The id {name!r} is already used{where}.")
    if len(lines) == MAX_SKILLS:
        raise _fault(node, f"The course may have at most {MAX_SKILLS:,} modules and skills together.")
    lines[name] = node
    return name


def _minutes(node: Node) -> int:
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= LONGEST_MINUTES):
        raise _fault(node, f"minutes must be a whole number from 1 to {LONGEST_MINUTES}.")
    return int(text)


def _difficulty(node: Node) -> Difficulty:
    for known in get_args(Difficulty):
        if node.value == known:
            return known  # type: ignore[no-any-return]
    raise _fault(node, f"difficulty must be one of {', '.join(get_args(Difficulty))}.")


def _address(node: Node) -> str:
    address = node.value if isinstance(node, yaml.ScalarNode) else ""
    if not is_address(address) or len(address) > LONGEST_RESOURCE:
        raise _fault(node, "A resource must be an address that begins with https://.")
    return str(address)


def yaml_of(curriculum: Curriculum) -> str:
    """The course as YAML that ``curriculum_from`` reads."""
    return yaml.safe_dump(
        {"modules": msgspec.to_builtins(curriculum.modules)}, sort_keys=False, allow_unicode=True, width=120
    )


def mermaid(curriculum: Curriculum) -> str:
    """The course as a Mermaid graph: modules as boxes, and arrows from each prerequisite to the skill."""
    place = {name: f"s{number}" for number, name in enumerate(curriculum.skills)}
    lines = ["graph LR"]
    for number, module in enumerate(curriculum.modules):
        lines.append(f'  subgraph m{number}["{_label(module.title)}"]')
        lines += [f'    {place[skill.id]}["{_label(skill.title)}, {skill.minutes} min"]' for skill in module.skills]
        lines.append("  end")
    for skill in curriculum.skills.values():
        lines += [f"  {place[needed]} --> {place[skill.id]}" for needed in skill.prerequisites]
    return "\n".join(lines)


def _label(text: str) -> str:
    return text.replace('"', "#quot;")
