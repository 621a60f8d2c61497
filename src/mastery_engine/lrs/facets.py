"""What statements are found by: a facet is the hash of a tenant, a kind and a value, such as a verb and its IRI.

No address and no name stands in an index, and no index of one tenant meets another's.
"""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from mastery_engine.lrs.broken import Object
from mastery_engine.lrs.people import actors_in, agent_key, others_in, with_members
from mastery_engine.lrs.rules.activities import is_activity
from mastery_engine.lrs.rules.values import LONGEST_KNOWN, MOST_KNOWN

FACET_BYTES = 16
RELATED = "related "


@lru_cache(MOST_KNOWN)
def _facet(tenant: str, kind: str, value: str) -> bytes:
    return blake2b(f"{tenant}\0{kind}\0{value}".encode(), digest_size=FACET_BYTES).digest()


class Facets:
    """Makes the facets of one tenant."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant

    def of(self, kind: str, value: str) -> bytes:
        """The facet of a value of a kind. Verbs, activities and people come again and again, and are cached."""
        made = _facet if len(value) <= LONGEST_KNOWN else _facet.__wrapped__
        return made(self._tenant, kind, value)

    def of_statement(self, statement: Object) -> set[bytes]:
        """All facets of a valid statement; ``related`` ones are of what is not its actor or object."""
        return {facet for name, part in statement.items() for facet in self.of_part(name, part)}

    def of_part(self, name: str, part: Any) -> Iterator[bytes]:
        """The facets that a statement has by one of its parts."""
        of = self.of
        for agent in actors_in(name, part):
            yield from self._of_agent("agent", agent)
        for agent in with_members(part) if name == "authority" else others_in(name, part):
            yield from self._of_agent("related agent", agent)
        if name == "verb":
            yield of("verb", part["id"])
        elif name == "object":
            if is_activity(part):
                yield of("activity", part["id"])
            for activity in activities_within(part):
                yield of("related activity", activity)
        elif name == "context":
            for one in context_activities_in(part):
                yield of("related activity", one["id"])
            if "registration" in part:
                yield of("registration", part["registration"].lower())

    def _of_agent(self, kind: str, agent: Object) -> Iterator[bytes]:
        key = agent_key(agent)
        if key is not None:
            yield self.of(kind, key)


def activities_within(target: Object) -> Iterator[str]:
    """The activities of a sub-statement; none of any other object."""
    if target.get("objectType") == "SubStatement":
        if is_activity(target["object"]):
            yield target["object"]["id"]
        for activity in context_activities_of(target):
            yield activity["id"]
        yield from activities_within(target["object"])


def context_activities_of(statement: Object) -> Iterator[Object]:
    """The activities of a statement's context."""
    yield from context_activities_in(statement.get("context", {}))


def context_activities_in(context: Object) -> Iterator[Object]:
    """The activities of a context."""
    for given in context.get("contextActivities", {}).values():
        if type(given) is list:
            yield from given
        else:
            yield given


def activities_of(statement: Object) -> Iterator[Object]:
    """All activities in a statement."""
    target = statement["object"]
    if is_activity(target):
        yield target
    yield from context_activities_of(statement)
    if target.get("objectType") == "SubStatement":
        yield from activities_of(target)
