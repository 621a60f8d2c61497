"""Activities, their definitions and interactions (xAPI 1.0.3 Data 2.4.4.1; IEEE 9274.1.1, 4.2.2.3)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mastery_engine.lrs.broken import Object, RuleBroken, has, has_only, is_list, is_object, is_text, shown
from mastery_engine.lrs.rules.values import extensions_have_iris, iri_is_absolute, language_map_has_texts

ACTIVITY = frozenset(("objectType", "id", "definition"))
# The second is Open edX's word (event-routing-backends) for a problem with several questions: what it sends is taken.
KINDS_OF_ACTIVITY = ("Activity", "GroupActivity")
# The lists of components by the kind of interaction that has them.
COMPONENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "true-false": (),
        "choice": ("choices",),
        "fill-in": (),
        "long-fill-in": (),
        "matching": ("source", "target"),
        "performance": ("steps",),
        "sequencing": ("choices",),
        "likert": ("scale",),
        "numeric": (),
        "other": (),
    }
)
LISTS = ("choices", "scale", "source", "target", "steps")
OF_INTERACTION = ("correctResponsesPattern", *LISTS)
DEFINITION = frozenset(("name", "description", "type", "moreInfo", "extensions", "interactionType", *OF_INTERACTION))
COMPONENT = frozenset(("id", "description"))


def is_activity(target: Object) -> bool:
    """Whether an object is an activity, as it is where its ``objectType`` says nothing else."""
    return target.get("objectType", "Activity") in KINDS_OF_ACTIVITY


def activity_is_identified(value: Any, at: str) -> str:
    """An activity has an IRI, and may have a definition."""
    activity = is_object(value, at)
    has_only(activity, ACTIVITY, at)
    if not is_activity(activity):
        message = f"must be Activity, not {shown(activity['objectType'])}"
        raise RuleBroken("activity_is_identified", f"{at}.objectType", message)
    if "definition" in activity:
        definition_is_formed(activity["definition"], f"{at}.definition")
    return iri_is_absolute(has(activity, "id", at), f"{at}.id")


def definition_is_formed(value: Any, at: str) -> None:
    """A definition names and describes, and may be that of an interaction."""
    definition = is_object(value, at)
    has_only(definition, DEFINITION, at)
    for name in ("name", "description"):
        if name in definition:
            language_map_has_texts(definition[name], f"{at}.{name}")
    for name in ("type", "moreInfo"):
        if name in definition:
            iri_is_absolute(definition[name], f"{at}.{name}")
    if "extensions" in definition:
        extensions_have_iris(definition["extensions"], f"{at}.extensions")
    if "interactionType" in definition or any(name in definition for name in OF_INTERACTION):
        interaction_is_of_its_kind(definition, at)


def interaction_is_of_its_kind(definition: Object, at: str) -> None:
    """An interaction is of one of ten kinds, and has the lists of components of its kind and no others."""
    kind = is_text(has(definition, "interactionType", at), f"{at}.interactionType")
    if kind not in COMPONENTS:
        message = f"must be one of {', '.join(COMPONENTS)}, not {shown(kind)}"
        raise RuleBroken("interaction_is_of_its_kind", f"{at}.interactionType", message)
    for pattern in is_list(definition.get("correctResponsesPattern", []), f"{at}.correctResponsesPattern"):
        is_text(pattern, f"{at}.correctResponsesPattern")
    for name in LISTS:
        if name not in definition:
            continue
        if name not in COMPONENTS[kind]:
            raise RuleBroken("interaction_is_of_its_kind", at, f"may not have {name} where interactionType is {kind}")
        components_are_distinct(definition[name], f"{at}.{name}")


def components_are_distinct(value: Any, at: str) -> None:
    """Each component has an id of its own, and may have a description."""
    seen: set[str] = set()
    for place, given in enumerate(is_list(value, at)):
        component = is_object(given, f"{at}[{place}]")
        has_only(component, COMPONENT, f"{at}[{place}]")
        id_here = is_text(has(component, "id", f"{at}[{place}]"), f"{at}[{place}].id")
        if id_here in seen:
            raise RuleBroken("components_are_distinct", f"{at}[{place}].id", f"comes twice: {shown(id_here)}")
        seen.add(id_here)
        if "description" in component:
            language_map_has_texts(component["description"], f"{at}[{place}].description")
