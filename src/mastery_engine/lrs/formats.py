"""How statements are shown: as they came, in one language, or by ids alone (xAPI 1.0.3 Communication 2.1.3)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from mastery_engine.lrs.broken import Object
from mastery_engine.lrs.rules.activities import LISTS, is_activity
from mastery_engine.lrs.rules.agents import identifier_of

Format: TypeAlias = Literal["exact", "canonical", "ids"]
FORMATS: tuple[Format, ...] = ("exact", "canonical", "ids")


def preferred_languages(accept: str) -> list[str]:
    """The languages of an Accept-Language header (RFC 9110, 12.5.4), the best first; those of weight 0 are left out."""
    weighed: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept.split(",")[:50]):
        tag, _, rest = part.partition(";")
        name, _, weight = rest.strip().partition("=")
        try:
            quality = float(weight) if name.strip() == "q" else 1.0
        except ValueError:
            quality = 0.0
        if tag.strip() and quality > 0:
            weighed.append((-quality, place, tag.strip().lower()))
    return [tag for _, _, tag in sorted(weighed)]


def in_one_language(texts: Mapping[str, str], languages: Sequence[str]) -> dict[str, str]:
    """The entry of a language map that fits best: by the whole tag, by its first part, else the first entry."""
    by_tag = {tag.lower(): tag for tag in texts}
    for wanted in languages:
        if wanted in by_tag:
            return {by_tag[wanted]: texts[by_tag[wanted]]}
        near = next((tag for low, tag in by_tag.items() if low.partition("-")[0] == wanted.partition("-")[0]), None)
        if near is not None:
            return {near: texts[near]}
    return dict([next(iter(texts.items()))]) if texts else {}


def canonical(statement: Object, languages: Sequence[str]) -> dict[str, Any]:
    """The statement with each language map in one language; people as they came."""
    shown = dict(statement)
    if "display" in statement["verb"]:
        shown["verb"] = {**statement["verb"], "display": in_one_language(statement["verb"]["display"], languages)}
    target = statement["object"]
    if target.get("objectType") == "SubStatement":
        shown["object"] = canonical(target, languages)
    elif "definition" in target:
        shown["object"] = canonical_activity(target, languages)
    related = statement.get("context", {}).get("contextActivities")
    if related:
        shown["context"] = {
            **statement["context"],
            "contextActivities": {
                relation: [canonical_activity(one, languages) for one in (given if type(given) is list else [given])]
                for relation, given in related.items()
            },
        }
    return shown


def canonical_activity(activity: Object, languages: Sequence[str]) -> dict[str, Any]:
    """An activity with its name and description, and those of its components, in one language."""
    definition = activity.get("definition")
    if definition is None:
        return dict(activity)
    shown = dict(definition)
    for name in ("name", "description"):
        if name in shown:
            shown[name] = in_one_language(shown[name], languages)
    for name in LISTS:
        if name in shown:
            shown[name] = [
                {**one, "description": in_one_language(one["description"], languages)} if "description" in one else one
                for one in shown[name]
            ]
    return {**activity, "definition": shown}


def ids_alone(statement: Object) -> dict[str, Any]:
    """The statement with as little of people, activities and verbs as tells them apart."""
    shown = dict(statement)
    shown["actor"] = _bare_actor(statement["actor"])
    shown["verb"] = {"id": statement["verb"]["id"]}
    target = statement["object"]
    kind = target.get("objectType")
    if kind == "SubStatement":
        shown["object"] = ids_alone(target)
    elif is_activity(target):
        shown["object"] = _bare_activity(target)
    elif kind in ("Agent", "Group"):
        shown["object"] = _bare_actor(target)
    if "authority" in statement:
        shown["authority"] = _bare_actor(statement["authority"])
    if "context" in statement:
        shown["context"] = _bare_context(statement["context"])
    return shown


def _bare_activity(activity: Object) -> dict[str, Any]:
    """An activity by its id alone: that it is one goes without saying."""
    return {"id": activity["id"]}


def _bare_actor(actor: Object) -> dict[str, Any]:
    """An agent, or an identified group, by its identifier; an anonymous group by those of its members."""
    identifier = identifier_of(actor)
    bare = {"objectType": actor["objectType"]} if "objectType" in actor else {}
    if identifier is None:
        return {**bare, "member": [_bare_actor(one) for one in actor["member"]]}
    return {**bare, identifier: actor[identifier]}


def _bare_context(context: Object) -> dict[str, Any]:
    shown = dict(context)
    for name in ("instructor", "team"):
        if name in shown:
            shown[name] = _bare_actor(shown[name])
    if "contextActivities" in shown:
        shown["contextActivities"] = {
            relation: [_bare_activity(one) for one in (given if type(given) is list else [given])]
            for relation, given in shown["contextActivities"].items()
        }
    for name, inner in (("contextAgents", "agent"), ("contextGroups", "group")):
        if name in shown:
            shown[name] = [{**one, inner: _bare_actor(one[inner])} for one in shown[name]]
    return shown


def with_lists(name: str, part: Any) -> Any:
    """A part of a statement as it is returned: context activities that came alone are lists of one (Data 2.4.6.2).

    The part itself, where that changes nothing.
    """
    if name == "object" and "context" in part:
        context = with_lists("context", part["context"])
        return part if context is part["context"] else {**part, "context": context}
    related = part.get("contextActivities") if name == "context" else None
    if related is None or all(type(given) is list for given in related.values()):
        return part
    lists = {relation: given if type(given) is list else [given] for relation, given in related.items()}
    return {**part, "contextActivities": lists}


def merged_definition(older: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    """A definition with all that two say: the newer one's word counts, language by language."""
    merged = {**older, **newer}
    for name in ("name", "description", "extensions"):
        if name in older and name in newer:
            merged[name] = {**older[name], **newer[name]}
    return merged
