"""Statements and what they contain (xAPI 1.0.3 Data 2; IEEE 9274.1.1, 4.2)."""

from typing import Any

from mastery_engine.lrs.broken import Object, RuleBroken, has, has_only, is_object, shown
from mastery_engine.lrs.rules.activities import activity_is_identified, is_activity
from mastery_engine.lrs.rules.agents import actor_is_agent_or_group, authority_is_agent_or_pair
from mastery_engine.lrs.rules.attachments import attachments_are_described
from mastery_engine.lrs.rules.contexts import context_is_formed
from mastery_engine.lrs.rules.references import reference_names_statement
from mastery_engine.lrs.rules.results import result_is_formed
from mastery_engine.lrs.rules.values import Version, timestamp_is_iso8601, uuid_is_standard, version_is_known
from mastery_engine.lrs.rules.verbs import VOIDED, verb_is_identified

SUBSTATEMENT = frozenset(("objectType", "actor", "verb", "object", "result", "context", "timestamp", "attachments"))
STATEMENT = SUBSTATEMENT - {"objectType"} | {"id", "stored", "authority", "version"}
OBJECT_TYPES = ("Activity", "Agent", "Group", "StatementRef", "SubStatement")


def statement_is_valid(value: Any, version: Version, at: str = "statement") -> Object:
    """The statement itself. Raises RuleBroken, which names the rule and the place."""
    statement = is_object(value, at)
    has_only(statement, STATEMENT, at)
    if "id" in statement:
        uuid_is_standard(statement["id"], f"{at}.id")
    if "version" in statement:
        version_is_known(statement["version"], f"{at}.version", version)
    if "stored" in statement:
        timestamp_is_iso8601(statement["stored"], f"{at}.stored")
    if "authority" in statement:
        authority_is_agent_or_pair(statement["authority"], f"{at}.authority")
    content_is_valid(statement, version, at)
    voiding_refers_to_statement(statement, at)
    return statement


def content_is_valid(statement: Object, version: Version, at: str) -> None:
    """What a statement and a sub-statement both have; nothing in it is null, but for what extensions hold."""
    for name in statement:
        value_is_not_null(statement[name], f"{at}.{name}")
    actor_is_agent_or_group(has(statement, "actor", at), f"{at}.actor")
    verb_is_identified(has(statement, "verb", at), f"{at}.verb")
    object_is_of_known_type(has(statement, "object", at), version, f"{at}.object")
    if "result" in statement:
        result_is_formed(statement["result"], f"{at}.result")
    if "context" in statement:
        context_is_formed(statement["context"], f"{at}.context", of=statement, version=version)
    if "timestamp" in statement:
        timestamp_is_iso8601(statement["timestamp"], f"{at}.timestamp")
    if "attachments" in statement:
        attachments_are_described(statement["attachments"], f"{at}.attachments")


def value_is_not_null(value: Any, at: str) -> None:
    """No property is null: what is not known is left out."""
    if value is None:
        raise RuleBroken("value_is_not_null", at, "may not be null: leave it out")


def object_is_of_known_type(value: Any, version: Version, at: str) -> None:
    """An object is an activity where its ``objectType`` says nothing else."""
    target = is_object(value, at)
    kind = target.get("objectType")
    if is_activity(target):
        activity_is_identified(target, at)
    elif kind in ("Agent", "Group"):
        actor_is_agent_or_group(target, at)
    elif kind == "StatementRef":
        reference_names_statement(target, at)
    elif kind == "SubStatement":
        substatement_stands_alone(target, version, at)
    else:
        message = f"must be one of {', '.join(OBJECT_TYPES)}, not {shown(kind)}"
        raise RuleBroken("object_is_of_known_type", f"{at}.objectType", message)


def substatement_stands_alone(value: Object, version: Version, at: str) -> None:
    """A sub-statement has no id, no authority, no version and no time of storing, and holds no sub-statement."""
    has_only(value, SUBSTATEMENT, at)
    target = value.get("object")
    if type(target) is dict and target.get("objectType") == "SubStatement":
        raise RuleBroken("substatement_stands_alone", f"{at}.object", "may not be a sub-statement again")
    content_is_valid(value, version, at)


def voiding_refers_to_statement(statement: Object, at: str) -> None:
    """What is voided is named by a reference to a statement."""
    if statement["verb"]["id"] == VOIDED and statement["object"].get("objectType") != "StatementRef":
        message = "must be a StatementRef where the verb is voided"
        raise RuleBroken("voiding_refers_to_statement", f"{at}.object", message)
