"""Who is in a statement: the identities of people, wherever they stand in it, and the statement with them changed."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from mastery_engine.lrs.broken import Object
from mastery_engine.lrs.rules.agents import identifier_of

CONTEXT_PEOPLE = {"contextAgents": "agent", "contextGroups": "group"}
Change: TypeAlias = Callable[[Object], Object | None]


def agent_key(agent: Object) -> str | None:
    """What an agent or an identified group is told apart by, as a text; None for an anonymous group."""
    identifier = identifier_of(agent)
    if identifier is None:
        return None
    value = agent[identifier]
    if identifier == "account":
        return f"account {value['homePage']} {value['name']}"
    return f"{identifier} {value.lower() if identifier == 'mbox_sha1sum' else value}"


def with_members(actor: Object) -> Iterator[Object]:
    """An agent or a group, and the group's members."""
    yield actor
    yield from actor.get("member", ())


def actors_of(statement: Object) -> Iterator[Object]:
    """The actor of a statement, and its object where that is an agent or a group, with their members."""
    yield from actors_in("actor", statement["actor"])
    yield from actors_in("object", statement["object"])


def actors_in(name: str, part: Any) -> Iterator[Object]:
    """Those of ``actors_of`` who are in a part of a statement."""
    if name == "actor" or (name == "object" and part.get("objectType") in ("Agent", "Group")):
        yield from with_members(part)


def subjects_in(name: str, part: Any) -> Iterator[Object]:
    """Whom a statement is about, as far as they are in a part of it: its actors, and those of its sub-statement."""
    yield from actors_in(name, part)
    if name == "object" and part.get("objectType") == "SubStatement":
        yield from actors_of(part)


def others_of(statement: Object) -> Iterator[Object]:
    """Who else is in a statement: in its context, and in a sub-statement. Its authority is the sender."""
    for name in ("context", "object"):
        if name in statement:
            yield from others_in(name, statement[name])


def others_in(name: str, part: Any) -> Iterator[Object]:
    """Those of ``others_of`` who are in a part of a statement."""
    if name == "context":
        for one in ("instructor", "team"):
            if one in part:
                yield from with_members(part[one])
        for given, inner in CONTEXT_PEOPLE.items():
            for one in part.get(given, ()):
                yield from with_members(one[inner])
    elif name == "object" and part.get("objectType") == "SubStatement":
        yield from actors_of(part)
        yield from others_of(part)


def with_people(statement: Object, change: Change) -> dict[str, Any] | None:
    """The statement with each agent and group changed, or taken out; None where it says nothing without them."""
    changed = dict(statement)
    for name in ("actor", "object"):
        kind = statement[name].get("objectType")
        if name == "object" and kind not in ("Agent", "Group", "SubStatement"):
            continue
        part = with_people(statement[name], change) if kind == "SubStatement" else _actor(statement[name], change)
        if part is None:
            return None
        changed[name] = part
    if "context" in statement:
        changed["context"] = _context(statement["context"], change)
    return changed


def _actor(actor: Object, change: Change) -> Object | None:
    """An agent or a group after a change, and its members; None where nobody is left."""
    changed = change(actor)
    if changed is None or "member" not in changed:
        return changed
    members = [one for member in changed["member"] if (one := change(member)) is not None]
    return None if not members and identifier_of(changed) is None else {**changed, "member": members}


def _context(context: Object, change: Change) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for name, value in context.items():
        if name in ("instructor", "team"):
            actor = _actor(value, change)
            if actor is not None:
                left[name] = actor
        elif name in CONTEXT_PEOPLE:
            inner = CONTEXT_PEOPLE[name]
            people = [(one, _actor(one[inner], change)) for one in value]
            left[name] = [{**one, inner: actor} for one, actor in people if actor is not None]
        else:
            left[name] = value
    return left
