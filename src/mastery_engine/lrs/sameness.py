"""When two statements are the same: their content in one form, whose hash is compared.

What the store sets itself is no part of it (id, authority, stored, version), nor is what the standard says may differ:
the display of a verb, the definition of an activity, the order of a group's members and of context activities, a
duration beyond hundredths of a second, the offset by which a time is written (xAPI 1.0.3 Data 2.3.1; IEEE 9274.1.1,
4.2.7). The time of the statement itself is compared beside the hash, since the store sets it where it is missing.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from mastery_engine.lrs.broken import Object
from mastery_engine.lrs.rules.activities import is_activity
from mastery_engine.lrs.rules.agents import identifier_of
from mastery_engine.lrs.rules.values import derived_uuid, timestamp_is_iso8601

DIGEST_BYTES = 20
SET_HERE = frozenset(("id", "authority", "stored"))
OF_STORE = SET_HERE | {"version", "timestamp"}
_HUNDREDTHS = re.compile(r"([.,]\d\d)\d+(?=S$)")

_encode = msgspec.json.Encoder(order="deterministic").encode


def content_digest(statement: Object) -> bytes:
    """The hash of a valid statement's content, without its own time: equal for statements that are the same."""
    return digest_of(_content(statement, OF_STORE))


def digest_of(content: Mapping[str, Any]) -> bytes:
    """The hash of a statement's content, by parts, of which each is what ``content_of`` says of it, or its JSON."""
    return blake2b(_encode(content), digest_size=DIGEST_BYTES).digest()


def derived_id(statement: Object, tenant: str, turn: int = 0) -> str:
    """The id of a statement without one: made of all that it says, and its tenant, so that a repeat has the same.

    Its parts may be JSON whose names are in order. ``turn`` counts the statements with this content that were voided
    before.
    """
    said = {name: value for name, value in statement.items() if name not in SET_HERE}
    return derived_uuid(blake2b(_encode([tenant, turn, said]), digest_size=DIGEST_BYTES).digest())


def _content(statement: Object, left_out: frozenset[str]) -> dict[str, Any]:
    return {name: content_of(name, value) for name, value in statement.items() if name not in left_out}


def content_of(name: str, part: Any) -> Any:
    """What of a part of a statement is compared."""
    if name == "actor":
        return _actor(part)
    if name == "verb":
        return part["id"]
    if name == "object":
        return _object(part)
    if name == "result":
        return _result(part)
    if name == "context":
        return _context(part)
    if name == "attachments":
        return sorted([_attachment(one) for one in part], key=_encode)
    return part


def _actor(actor: Object) -> dict[str, Any]:
    """An agent or a group without its name, by which nobody is told apart."""
    bare: dict[str, Any] = {"group": True} if actor.get("objectType") == "Group" else {}
    identifier = identifier_of(actor)
    if identifier is not None:
        value = actor[identifier]
        bare[identifier] = value.lower() if identifier == "mbox_sha1sum" else value
    if "member" in actor:
        bare["member"] = sorted(map(_actor, actor["member"]), key=_encode)
    return bare


def _object(target: Object) -> Any:
    kind = target.get("objectType")
    if is_activity(target):
        return target["id"]
    if kind in ("Agent", "Group"):
        return _actor(target)
    if kind == "StatementRef":
        return [target["id"].lower()]
    content = _content(target, frozenset(("objectType", "timestamp")))
    if "timestamp" in target:
        content["timestamp"] = timestamp_is_iso8601(target["timestamp"], "timestamp")
    return content


def _result(result: Object) -> Object:
    if "duration" not in result:
        return result
    return {**result, "duration": _HUNDREDTHS.sub(r"\1", result["duration"])}


def _context(context: Object) -> dict[str, Any]:
    content = dict(context)
    if "registration" in content:
        content["registration"] = content["registration"].lower()
    for name in ("instructor", "team"):
        if name in content:
            content[name] = _actor(content[name])
    if "contextActivities" in content:
        content["contextActivities"] = {
            relation: sorted(one["id"] for one in (given if type(given) is list else [given]))
            for relation, given in content["contextActivities"].items()
        }
    if "statement" in content:
        content["statement"] = content["statement"]["id"].lower()
    for name, inner in (("contextAgents", "agent"), ("contextGroups", "group")):
        if name in content:
            content[name] = sorted([{**one, inner: _actor(one[inner])} for one in content[name]], key=_encode)
    return content


def _attachment(attachment: Object) -> dict[str, Any]:
    return {**attachment, "sha2": attachment["sha2"].lower()}
