"""The parts of statements: each is checked, and written as it is needed, when its bytes come first.

A person, a verb, a question, the context of an attempt come in one statement after the other, byte for byte the same.
So what follows from a part's bytes alone is worked out once, and known for as long as the part keeps coming.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from mastery_engine.lrs.broken import Object
from mastery_engine.lrs.facets import Facets
from mastery_engine.lrs.formats import with_lists
from mastery_engine.lrs.people import actors_in, agent_key, others_in, subjects_in
from mastery_engine.lrs.rules.agents import actor_is_agent_or_group, authority_is_agent_or_pair
from mastery_engine.lrs.rules.attachments import attachments_are_described
from mastery_engine.lrs.rules.contexts import context_is_formed
from mastery_engine.lrs.rules.results import result_is_formed
from mastery_engine.lrs.rules.statements import object_is_of_known_type
from mastery_engine.lrs.rules.values import Version
from mastery_engine.lrs.rules.verbs import verb_is_identified
from mastery_engine.lrs.sameness import content_of

LONGEST_KNOWN = 4_096  # bytes of a part that is worth knowing
MOST_KNOWN = 1_000_000  # bytes of parts in a generation, of which two are known: some 20 MB once they are decoded

Check: TypeAlias = Callable[[Any, Version], object]

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_in_order = msgspec.json.Encoder(order="deterministic").encode

# The rules of each part, as far as they are about the part alone.
CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "actor": lambda value, _: actor_is_agent_or_group(value, "actor"),
        "verb": lambda value, _: verb_is_identified(value, "verb"),
        "object": lambda value, version: object_is_of_known_type(value, version, "object"),
        "result": lambda value, _: result_is_formed(value, "result"),
        "context": lambda value, version: context_is_formed(value, "context", of={}, version=version),
        "attachments": lambda value, _: attachments_are_described(value, "attachments"),
        "authority": lambda value, _: authority_is_agent_or_pair(value, "authority"),
    }
)


class StatementPart(msgspec.Struct, frozen=True, gc=False):
    """A valid part of a statement, which statements share: nobody changes it.

    ``kept`` is its JSON as it is stored, ``said`` as ids are made of it and ``content`` what is compared of it.
    ``people`` are the agents and identified groups in it, each behind its key; ``subjects`` those whom the statement is
    about.
    """

    value: Any
    kept: msgspec.Raw
    said: msgspec.Raw
    content: msgspec.Raw
    facets: frozenset[bytes]
    subjects: tuple[tuple[str, Object], ...]
    people: tuple[tuple[str, Object], ...]


def part_of(name: str, value: Any, version: Version, tenant: str) -> StatementPart:
    """A part by its name and its value. Raises RuleBroken, without the part's place in its call."""
    CHECKS[name](value, version)
    said = msgspec.Raw(_in_order(value))
    content = content_of(name, value)
    return StatementPart(
        value,
        msgspec.Raw(_encode(with_lists(name, value))),
        said,
        said if content is value else msgspec.Raw(_in_order(content)),
        frozenset(Facets(tenant).of_part(name, value)),
        tuple(_with_keys(subjects_in(name, value))),
        tuple(_with_keys((*actors_in(name, value), *others_in(name, value)))),
    )


def _with_keys(agents: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """Those who have an identifier, each behind it."""
    for agent in agents:
        key = agent_key(agent)
        if key is not None:
            yield key, agent


class KnownParts:
    """The parts that came lately, of each tenant by themselves.

    Those that did not come while as many others did are forgotten.
    """

    def __init__(self) -> None:
        self._newer: dict[tuple[str, str, str, bytes], StatementPart] = {}
        self._older: dict[tuple[str, str, str, bytes], StatementPart] = {}
        self._size = 0

    def part(self, name: str, given: bytes, version: Version, tenant: str) -> StatementPart:
        """The part in JSON. Raises RuleBroken, without the part's place in its call, and what the decoder raises."""
        key = (tenant, version, name, given)
        known = self._newer.get(key)
        if known is not None:
            return known
        part = self._older.get(key) or part_of(name, _decode(given), version, tenant)
        if len(given) <= LONGEST_KNOWN:
            if self._size > MOST_KNOWN:
                self._older, self._newer, self._size = self._newer, {}, 0
            self._newer[key] = part
            self._size += len(given)
        return part

    def forget(self) -> None:
        """Know nothing any more: somebody was erased."""
        self._newer, self._older, self._size = {}, {}, 0
