"""Verbs (xAPI 1.0.3 Data 2.4.3; IEEE 9274.1.1, 4.2.2.2)."""

from typing import Any

from mastery_engine.lrs.broken import has, has_only, is_object
from mastery_engine.lrs.rules.values import iri_is_absolute, language_map_has_texts

VERB = frozenset(("id", "display"))
VOIDED = "http://adlnet.gov/expapi/verbs/voided"


def verb_is_identified(value: Any, at: str) -> str:
    """A verb has an IRI, and may have a text to show in several languages."""
    verb = is_object(value, at)
    has_only(verb, VERB, at)
    if "display" in verb:
        language_map_has_texts(verb["display"], f"{at}.display")
    return iri_is_absolute(has(verb, "id", at), f"{at}.id")
