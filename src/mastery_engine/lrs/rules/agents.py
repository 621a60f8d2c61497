"""Agents and groups (xAPI 1.0.3 Data 2.4.2; IEEE 9274.1.1, 4.2.2.1)."""

from typing import Any

from mastery_engine.lrs.broken import Object, RuleBroken, has, has_only, is_list, is_object, is_text, shown
from mastery_engine.lrs.rules.values import iri_is_absolute, mailbox_is_address, sha1_is_hex

IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")
AGENT = frozenset(("objectType", "name", *IDENTIFIERS))
GROUP = AGENT | {"member"}
ACCOUNT = frozenset(("homePage", "name"))


def identifier_of(value: Object) -> str | None:
    """Which of its identifiers an agent or a group has; None where it has none, the first where it has several."""
    return next((name for name in IDENTIFIERS if name in value), None)


def identifier_is_single(value: Object, at: str) -> str | None:
    """An agent or a group has one inverse functional identifier at most."""
    given = [name for name in IDENTIFIERS if name in value]
    if len(given) > 1:
        message = f"may have one of {', '.join(IDENTIFIERS)}, not {' and '.join(given)}"
        raise RuleBroken("identifier_is_single", at, message)
    return given[0] if given else None


def identifier_is_formed(value: Object, identifier: str, at: str) -> None:
    """Each kind of identifier has its form."""
    given = value[identifier]
    if identifier == "mbox":
        mailbox_is_address(given, f"{at}.mbox")
    elif identifier == "mbox_sha1sum":
        sha1_is_hex(given, f"{at}.mbox_sha1sum")
    elif identifier == "openid":
        iri_is_absolute(given, f"{at}.openid")
    else:
        account_is_complete(given, f"{at}.account")


def account_is_complete(value: Any, at: str) -> None:
    """An account has the home page of its system, and the name there."""
    account = is_object(value, at)
    has_only(account, ACCOUNT, at)
    iri_is_absolute(has(account, "homePage", at), f"{at}.homePage")
    is_text(has(account, "name", at), f"{at}.name")


def agent_is_identified(value: Any, at: str) -> None:
    """An agent is one person or system, with one identifier."""
    agent = is_object(value, at)
    has_only(agent, AGENT, at)
    if agent.get("objectType", "Agent") != "Agent":
        raise RuleBroken("agent_is_identified", f"{at}.objectType", f"must be Agent, not {shown(agent['objectType'])}")
    if "name" in agent:
        is_text(agent["name"], f"{at}.name")
    identifier = identifier_is_single(agent, at)
    if identifier is None:
        raise RuleBroken("agent_is_identified", at, f"must have one of {', '.join(IDENTIFIERS)}")
    identifier_is_formed(agent, identifier, at)


def group_has_members_or_identifier(value: Any, at: str) -> None:
    """A group without an identifier lists its members; members are agents, never groups."""
    group = is_object(value, at)
    has_only(group, GROUP, at)
    if group.get("objectType") != "Group":
        raise RuleBroken("group_has_members_or_identifier", f"{at}.objectType", "must be Group")
    if "name" in group:
        is_text(group["name"], f"{at}.name")
    identifier = identifier_is_single(group, at)
    if identifier is not None:
        identifier_is_formed(group, identifier, at)
    elif not group.get("member"):
        raise RuleBroken("group_has_members_or_identifier", at, "must have members, or one identifier")
    if "member" in group:
        for place, member in enumerate(is_list(group["member"], f"{at}.member")):
            agent_is_identified(member, f"{at}.member[{place}]")


def actor_is_agent_or_group(value: Any, at: str) -> None:
    """An actor is an agent, or a group where its ``objectType`` says so."""
    if is_object(value, at).get("objectType") == "Group":
        group_has_members_or_identifier(value, at)
    else:
        agent_is_identified(value, at)


def authority_is_agent_or_pair(value: Any, at: str) -> None:
    """An authority is an agent, or the group of two agents that three-legged OAuth makes of a consumer and a user."""
    if is_object(value, at).get("objectType") != "Group":
        agent_is_identified(value, at)
        return
    group_has_members_or_identifier(value, at)
    if identifier_of(value) is not None or len(value.get("member", ())) != 2:
        message = "must be an agent, or a group of two members without an identifier"
        raise RuleBroken("authority_is_agent_or_pair", at, message)
