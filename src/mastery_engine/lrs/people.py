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
    yield from with_members(statement["actor"])
    if statement["object"].get("objectType") in ("Agent", "Group"):
        yield from with_members(statement["object"])


def subjects_of(statement: Object) -> Iterator[Object]:
    """Whom a statement is about: its actors, and those of its sub-statement."""
    yield from actors_of(statement)
    if statement["object"].get("objectType") == "SubStatement":
        yield from actors_of(statement["object"])


def others_of(statement: Object) -> Iterator[Object]:
    """Who else is in a statement: in its context, and in a sub-statement. Its authority is the sender."""
    context = statement.get("context", {})
    for name in ("instructor", "team"):
        if name in context:
            yield from with_members(context[name])
    for name, inner in CONTEXT_PEOPLE.items():
        for one in context.get(name, ()):
            yield from with_members(one[inner])
    target = statement["object"]
    if target.get("objectType") == "SubStatement":
        yield from actors_of(target)
        yield from others_of(target)


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
