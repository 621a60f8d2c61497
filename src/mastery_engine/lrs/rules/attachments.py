"""Attachments, as a statement describes them (xAPI 1.0.3 Data 2.4.11; IEEE 9274.1.1, 4.2.2.6)."""

from typing import Any

from mastery_engine.lrs.broken import RuleBroken, has, has_only, is_list, is_object, shown
from mastery_engine.lrs.rules.values import iri_is_absolute, language_map_has_texts, media_type_is_named, sha2_is_hex

ATTACHMENT = frozenset(("usageType", "display", "description", "contentType", "length", "sha2", "fileUrl"))


def attachments_are_described(value: Any, at: str) -> None:
    """Each attachment says what it is for, how it is shown, of which type and length it is, and its hash."""
    for place, given in enumerate(is_list(value, at)):
        attachment_is_described(given, f"{at}[{place}]")


def attachment_is_described(value: Any, at: str) -> None:
    """What must be said of an attachment, and what may be: a description, and where else it lies."""
    attachment = is_object(value, at)
    has_only(attachment, ATTACHMENT, at)
    iri_is_absolute(has(attachment, "usageType", at), f"{at}.usageType")
    language_map_has_texts(has(attachment, "display", at), f"{at}.display")
    media_type_is_named(has(attachment, "contentType", at), f"{at}.contentType")
    length_is_counted(has(attachment, "length", at), f"{at}.length")
    sha2_is_hex(has(attachment, "sha2", at), f"{at}.sha2")
    if "description" in attachment:
        language_map_has_texts(attachment["description"], f"{at}.description")
    if "fileUrl" in attachment:
        iri_is_absolute(attachment["fileUrl"], f"{at}.fileUrl")


def length_is_counted(value: Any, at: str) -> None:
    """A length is a whole number of bytes."""
    if type(value) is not int or value < 0:
        raise RuleBroken("length_is_counted", at, f"must be a whole number of bytes, not {shown(value)}")
