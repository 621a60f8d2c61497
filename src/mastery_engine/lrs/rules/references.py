"""References to other statements (xAPI 1.0.3 Data 2.4.4.3; IEEE 9274.1.1, 4.2.2.3)."""

from typing import Any

from mastery_engine.lrs.broken import RuleBroken, has, has_only, is_object
from mastery_engine.lrs.rules.values import uuid_is_standard

REFERENCE = frozenset(("objectType", "id"))


def reference_names_statement(value: Any, at: str) -> str:
    """A reference is of ``objectType`` StatementRef and has the id of a statement, which need not be here."""
    reference = is_object(value, at)
    has_only(reference, REFERENCE, at)
    if reference.get("objectType") != "StatementRef":
        raise RuleBroken("reference_names_statement", f"{at}.objectType", "must be StatementRef")
    return uuid_is_standard(has(reference, "id", at), f"{at}.id")
