"""What statements are found by: a facet is the hash of a tenant, a kind and a value, such as a verb and its IRI.

No address and no name stands in an index, and no index of one tenant meets another's.
"""

from collections.abc import Iterator
from hashlib import blake2b

from mastery_engine.lrs.broken import Object
from mastery_engine.lrs.people import actors_of, agent_key, others_of, with_members
from mastery_engine.lrs.rules.activities import is_activity

FACET_BYTES = 16
RELATED = "related "


class Facets:
    """Makes the facets of one tenant."""

    def __init__(self, tenant: str) -> None:
        self._made = blake2b(tenant.encode() + b"\0", digest_size=FACET_BYTES)

    def of(self, kind: str, value: str) -> bytes:
        """The facet of a value of a kind."""
        made = self._made.copy()
        made.update(f"{kind}\0{value}".encode())
        return made.digest()

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
