"""What statements are found by: a facet is the hash of a tenant, a kind and a value, such as a verb and its IRI.

No address and no name stands in an index, and no index of one tenant meets another's.
"""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b

from mastery_engine.lrs.broken import Object
from mastery_engine.lrs.people import actors_of, agent_key, others_of, with_members
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
        of = self.of
        facets = {of("verb", statement["verb"]["id"])}
        facets.update([of("agent", key) for agent in actors_of(statement) if (key := agent_key(agent)) is not None])
        related = [*others_of(statement), *with_members(statement.get("authority", {}))]
        facets.update([of("related agent", key) for agent in related if (key := agent_key(agent)) is not None])
        target = statement["object"]
        if is_activity(target):
            facets.add(of("activity", target["id"]))
        facets.update([of("related activity", name) for name in related_activities_of(statement)])
        registration = statement.get("context", {}).get("registration")
        if registration is not None:
            facets.add(of("registration", registration.lower()))
        return facets


def related_activities_of(statement: Object) -> Iterator[str]:
    """The activities of a statement's context, and those of a sub-statement."""
    for activity in context_activities_of(statement):
        yield activity["id"]
    target = statement["object"]
    if target.get("objectType") == "SubStatement":
        if is_activity(target["object"]):
            yield target["object"]["id"]
        yield from related_activities_of(target)


def context_activities_of(statement: Object) -> Iterator[Object]:
    """The activities of a statement's context."""
    for given in statement.get("context", {}).get("contextActivities", {}).values():
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
