"""Contexts (xAPI 1.0.3 Data 2.4.6; IEEE 9274.1.1, 4.2.2.5)."""

from typing import Any

from mastery_engine.lrs.broken import Object, RuleBroken, has, has_only, is_list, is_object, is_text
from mastery_engine.lrs.rules.activities import activity_is_identified, is_activity
from mastery_engine.lrs.rules.agents import (
    actor_is_agent_or_group,
    agent_is_identified,
    group_has_members_or_identifier,
)
from mastery_engine.lrs.rules.references import reference_names_statement
from mastery_engine.lrs.rules.values import (
    Version,
    extensions_have_iris,
    iri_is_absolute,
    language_is_tagged,
    uuid_is_standard,
)

OF_BOTH = frozenset(
    (
        "registration",
        "instructor",
        "team",
        "contextActivities",
        "revision",
        "platform",
        "language",
        "statement",
        "extensions",
    )
)
CONTEXT = {"1.0.3": OF_BOTH, "2.0.0": OF_BOTH | {"contextAgents", "contextGroups"}}
RELATIONS = frozenset(("parent", "grouping", "category", "other"))
CONTEXT_AGENT = frozenset(("objectType", "agent", "relevantTypes"))
CONTEXT_GROUP = frozenset(("objectType", "group", "relevantTypes"))


def context_is_formed(value: Any, at: str, *, of: Object, version: Version) -> None:
    """A context says who taught, in which team, within what, by which attempt; ``of`` is the statement."""
    context = is_object(value, at)
    has_only(context, CONTEXT[version], at)
    if "registration" in context:
        uuid_is_standard(context["registration"], f"{at}.registration")
    if "instructor" in context:
        actor_is_agent_or_group(context["instructor"], f"{at}.instructor")
    if "team" in context:
        group_has_members_or_identifier(context["team"], f"{at}.team")
    if "contextActivities" in context:
        context_activities_are_related(context["contextActivities"], f"{at}.contextActivities")
    for name in ("revision", "platform"):
        if name in context:
            is_text(context[name], f"{at}.{name}")
            only_activities_have_revisions(of, f"{at}.{name}")
    if "language" in context:
        language_is_tagged(context["language"], f"{at}.language")
    if "statement" in context:
        reference_names_statement(context["statement"], f"{at}.statement")
    if "extensions" in context:
        extensions_have_iris(context["extensions"], f"{at}.extensions")
    if "contextAgents" in context:
        context_agents_are_typed(context["contextAgents"], f"{at}.contextAgents")
    if "contextGroups" in context:
        context_groups_are_typed(context["contextGroups"], f"{at}.contextGroups")


def only_activities_have_revisions(of: Object, at: str) -> None:
    """``revision`` and ``platform`` are used only where the statement's object is an activity."""
    target = of.get("object")
    if type(target) is dict and not is_activity(target):
        raise RuleBroken("only_activities_have_revisions", at, "may only be used where the object is an activity")


def context_activities_are_related(value: Any, at: str) -> None:
    """Context activities are parents, groupings, categories or others: each an activity, or a list of them."""
    related = is_object(value, at)
    has_only(related, RELATIONS, at)
    for relation, given in related.items():
        for activity in given if type(given) is list else [given]:
            activity_is_identified(activity, f"{at}.{relation}")


def context_agents_are_typed(value: Any, at: str) -> None:
    """A context agent is an agent with the types by which it is relevant (2.0)."""
    for place, given in enumerate(is_list(value, at)):
        one = f"{at}[{place}]"
        relevance_is_typed(given, one, kind="contextAgent", known=CONTEXT_AGENT)
        agent_is_identified(has(given, "agent", one), f"{one}.agent")


def context_groups_are_typed(value: Any, at: str) -> None:
    """A context group is a group with the types by which it is relevant (2.0)."""
    for place, given in enumerate(is_list(value, at)):
        one = f"{at}[{place}]"
        relevance_is_typed(given, one, kind="contextGroup", known=CONTEXT_GROUP)
        group_has_members_or_identifier(has(given, "group", one), f"{one}.group")


def relevance_is_typed(value: Any, at: str, *, kind: str, known: frozenset[str]) -> None:
    """``objectType`` says what it is, and ``relevantTypes`` are IRIs, one at least where they are given."""
    given = is_object(value, at)
    has_only(given, known, at)
    if given.get("objectType") != kind:
        raise RuleBroken("relevance_is_typed", f"{at}.objectType", f"must be {kind}")
    if "relevantTypes" in given:
        types = is_list(given["relevantTypes"], f"{at}.relevantTypes")
        if not types:
            raise RuleBroken("relevance_is_typed", f"{at}.relevantTypes", "must have one type at least")
        for one in types:
            iri_is_absolute(one, f"{at}.relevantTypes")
