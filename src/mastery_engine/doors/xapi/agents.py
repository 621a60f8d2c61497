"""Who an xAPI agent is: its one inverse functional identifier (xAPI 2.0, 4.2.2.1) as an identity."""

from collections.abc import Mapping
from types import MappingProxyType

from mastery_engine.domain.people.identity import Identity, identity
from mastery_engine.errors import InvalidInput

MAILTO = "mailto:"
# The identifiers that are a text, and what each begins with that is no part of the person's id.
_PREFIXES: Mapping[str, str] = MappingProxyType({"mbox": MAILTO, "mbox_sha1sum": "", "openid": ""})
_SYSTEMS: Mapping[str, str] = MappingProxyType({"mbox": "mailto", "mbox_sha1sum": "mbox_sha1sum", "openid": "openid"})


def identity_of(agent: object) -> Identity | None:
    """The identity of an agent or identified group, whose system is an account's home page, or the kind of identifier.

    None where there is none, or none that can be an id here.
    """
    if not isinstance(agent, dict):
        return None
    account = agent.get("account")
    if isinstance(account, dict):
        return _identity(account.get("homePage"), account.get("name"))
    for name, prefix in _PREFIXES.items():
        text = agent.get(name)
        if isinstance(text, str):
            return _identity(_SYSTEMS[name], text.removeprefix(prefix))
    return None


def learner_of(actor: object) -> Identity | None:
    """The identity of the one person that a statement is about; of a group, known by an id or not, there is none."""
    if isinstance(actor, dict) and actor.get("objectType") == "Group":
        return None
    return identity_of(actor)


def _identity(system: object, id_there: object) -> Identity | None:
    if not isinstance(system, str) or not isinstance(id_there, str):
        return None
    try:
        return identity(system, id_there)
    except InvalidInput:
        return None
