"""What breaks a rule of xAPI."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from mastery_engine.errors import InvalidInput

Object: TypeAlias = Mapping[str, Any]  # of JSON, as it was decoded

LONGEST_SHOWN = 60


class RuleBroken(InvalidInput):
    """A statement, a parameter or a part of a request is not as xAPI wants it; ``rule`` names what it broke."""

    def __init__(self, rule: str, at: str, message: str) -> None:
        """``at`` is the place in the statement, or the parameter; ``message`` follows it in a sentence."""
        super().__init__(f"{at} {message} (rule: {rule}).", field=at)
        self.rule = rule


def shown(value: object) -> str:
    """A value as a message may show it: short."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def is_object(value: Any, at: str) -> Object:
    """Raises RuleBroken where a value is no JSON object."""
    if type(value) is not dict:
        raise RuleBroken("is_object", at, f"must be an object, not {shown(value)}")
    return value


def is_list(value: Any, at: str) -> list[Any]:
    """Raises RuleBroken where a value is no JSON array."""
    if type(value) is not list:
        raise RuleBroken("is_list", at, f"must be a list, not {shown(value)}")
    return value


def is_text(value: Any, at: str) -> str:
    """Raises RuleBroken where a value is no string."""
    if type(value) is not str:
        raise RuleBroken("is_text", at, f"must be a text, not {shown(value)}")
    return value


def is_boolean(value: Any, at: str) -> None:
    """Raises RuleBroken where a value is neither true nor false."""
    if type(value) is not bool:
        raise RuleBroken("is_boolean", at, f"must be true or false, not {shown(value)}")


def is_number(value: Any, at: str) -> float:
    """Raises RuleBroken where a value is no number."""
    if type(value) not in (int, float):
        raise RuleBroken("is_number", at, f"must be a number, not {shown(value)}")
    return value  # type: ignore[no-any-return]


def has_only(value: Object, known: frozenset[str], at: str) -> None:
    """Properties that the standard does not name are refused, and their names are compared exactly."""
    if not known.issuperset(value):
        unknown = next(name for name in value if name not in known)
        allowed = ", ".join(sorted(known))
        raise RuleBroken("has_only", at, f"may not have a property {shown(unknown)}: it may have {allowed}")


def has(value: Object, name: str, at: str) -> Any:
    """The value of a property. Raises RuleBroken where it is missing."""
    if name not in value:
        raise RuleBroken("has_required", at, f"must have the property {name}")
    return value[name]
