"""Where in a message a value is: the paths, sources and conditions of profiles, compiled into functions.

A path is names with dots between them; one that holds dots itself stands in brackets
(``context.extensions.[https://w3id.org/x]``). Of a list the first entry that has something counts. An entity that is
given by its identifier alone, as Caliper allows, is that identifier's ``id``.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]
Source: TypeAlias = Callable[[Any], Any]
Condition: TypeAlias = Callable[[Any], bool]

SCALARS = frozenset((str, bool, int, float))
LONGEST_SEARCHED = 2_000  # characters of a text in which a pattern is looked for

_STEP = re.compile(r"(?:\[([^\[\]]+)\]|([^.\[\]]+))(\.|$)")


def path_of(text: str) -> Path | None:
    """The names of a path; None if it is malformed."""
    names, at = [], 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            return None
        names.append(step[1] or step[2])
        at = step.end()
    return tuple(names) if names and not text.endswith(".") else None


def value_at(message: Any, path: Sequence[str]) -> Any:
    """What stands at a path; None where nothing does."""
    value = message
    for name in path:
        if type(value) is not dict:
            return _value_through_lists(message, path)
        value = value.get(name)
        if value is None:
            return None
    return value


def _value_through_lists(message: Any, path: Sequence[str]) -> Any:
    """As ``value_at``, where not all on the way are objects."""
    value = message
    for place, name in enumerate(path):
        if isinstance(value, dict):
            value = value.get(name)
            if value is None:
                return None
        elif isinstance(value, list):
            rest = path[place:]
            for entry in value:
                found = value_at(entry, rest) if isinstance(entry, dict) else None
                if found is not None:
                    return found
            return None
        else:
            return value if name == "id" and isinstance(value, str) and place == len(path) - 1 else None
    return value


def at_path(path: Path) -> Source:
    """The value at a path."""

    def at(message: Any) -> Any:
        value = message
        for name in path:
            if type(value) is not dict:
                return _value_through_lists(message, path)
            value = value.get(name)
            if value is None:
                return None
        return value

    return at


def constant(value: Any) -> Source:
    """Always the same value."""
    return lambda _: value


def first_of(sources: Sequence[Source]) -> Source:
    """What the first source gives that gives anything."""
    if len(sources) == 1:
        return sources[0]

    def first(message: Any) -> Any:
        for source in sources:
            value = source(message)
            if value is not None:
                return value
        return None

    return first


def entry_where(path: Path, conditions: Sequence[Condition], then: Path, *, all_of_them: bool) -> Source:
    """What ``then`` names in the entries at a path that meet all conditions: of the first one, or a list of all."""
    entries_at, value_then, meets = at_path(path), at_path(then), all_of(conditions)

    def all_entries(message: Any) -> Any:
        entries = entries_at(message)
        values = [value_then(one) for one in (entries if type(entries) is list else (entries,)) if meets(one)]
        return [value for value in values if value is not None] or None

    def first_entry(message: Any) -> Any:
        entries = entries_at(message)
        for entry in entries if type(entries) is list else (entries,):
            if meets(entry):
                value = value_then(entry)
                if value is not None:
                    return value
        return None

    return all_entries if all_of_them else first_entry


def matched(source: Source, pattern: re.Pattern[str]) -> Source:
    """The group of a pattern in a text, or all that it matches; None where it does not match. Of a list each."""

    def group(value: Any) -> Any:
        if isinstance(value, list):
            return [one for one in map(group, value) if one is not None] or None
        text = text_of(value)
        found = None if text is None else pattern.search(text[:LONGEST_SEARCHED])
        return None if found is None else found[pattern.groups and 1]

    return lambda message: group(source(message))


def joined(sources: Sequence[Source], between: str) -> Source:
    """The texts of all sources in one; None where one of them is missing."""

    def together(message: Any) -> Any:
        texts = [text_of(source(message)) for source in sources]
        present = [text for text in texts if text is not None]
        return between.join(present) if len(present) == len(texts) else None

    return together


def text_of(value: Any) -> str | None:
    """A text, or a whole number as one: platforms send ids as either."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def all_of(conditions: Sequence[Condition]) -> Condition:
    """Whether all conditions hold."""
    if len(conditions) == 1:
        return conditions[0]
    return lambda message: all(condition(message) for condition in conditions)


def is_one_of(path: Path, wanted: frozenset[Any]) -> Condition:
    """Whether anything at a path is one of the values wanted."""
    return _anywhere(path, lambda value: type(value) in SCALARS and value in wanted)


def begins_with(path: Path, beginning: str) -> Condition:
    """Whether any text at a path begins so."""
    return _anywhere(path, lambda value: isinstance(value, str) and value.startswith(beginning))


def is_present(path: Path, *, wanted: bool) -> Condition:
    """Whether there is anything at a path, or whether there is nothing."""
    at = at_path(path)
    return lambda message: (at(message) is not None) is wanted


def _anywhere(path: Path, condition: Condition) -> Condition:
    """Whether anything at a path, of whichever entries of lists, meets a condition."""
    if not path:
        return lambda value: any(map(condition, value)) if type(value) is list else condition(value)
    name, rest = path[0], _anywhere(path[1:], condition)
    is_id = path == ("id",)

    def is_met(value: Any) -> bool:
        if type(value) is dict:
            inner = value.get(name)
            return inner is not None and rest(inner)
        if type(value) is list:
            for entry in value:  # noqa: SIM110  a generator takes twice as long
                if type(entry) is dict and is_met(entry):
                    return True
            return False
        return is_id and condition(value)

    return is_met
