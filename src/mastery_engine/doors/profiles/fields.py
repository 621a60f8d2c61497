"""What the data of an event may hold, made of what a platform sends: ids that fit, seconds, counts, shares."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, TypeAlias

from mastery_engine.domain.events.kinds import ID_FIELDS, KINDS, MOST_SECONDS
from mastery_engine.domain.given_ids import LONGEST_ID, LONGEST_NAME, MOST_KNOWN
from mastery_engine.doors.profiles.paths import text_of
from mastery_engine.doors.profiles.scores import number_from

Made: TypeAlias = tuple[Any, str | None]  # the value, and what was not taken as it stood
Maker: TypeAlias = Callable[[Any], Made]

MOST_SKILLS = 8
LONGEST_TEXT = 1_000
MOST_COUNT = 100_000
_HASH_BYTES = 8
_NAMES = frozenset(("topic", "skills"))  # of 100 characters; all other ids have 300
_NUMBER = r"(\d+(?:[.,]\d+)?)"
# ISO 8601-1, 5.5.2.2; a year is taken for 365 days and a month for 30, since which ones is not said.
_DURATION = re.compile(
    rf"P(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_SECONDS = (365 * 86_400.0, 30 * 86_400.0, 7 * 86_400.0, 86_400.0, 3_600.0, 60.0, 1.0)


def fitted(text: str, longest: int) -> str:
    """An id of at most so many characters: of a longer one the beginning, and a hash of it all after a ``~``."""
    text = text.strip()
    if len(text) <= longest:
        return text
    mark = blake2b(text.encode(errors="replace"), digest_size=_HASH_BYTES).hexdigest()
    return f"{text[: longest - len(mark) - 1]}~{mark}"


def seconds_from(value: Any) -> float | None:
    """A duration of ISO 8601, or a number, in seconds."""
    return _seconds_in(value[:LONGEST_ID]) if isinstance(value, str) else number_from(value)


@lru_cache(MOST_KNOWN)
def _seconds_in(text: str) -> float | None:
    found = _DURATION.fullmatch(text)
    parts = [] if found is None else found.groups()
    if not any(parts):
        return None
    return sum(float(part.replace(",", ".")) * unit for part, unit in zip(parts, _SECONDS, strict=True) if part)


def _id(longest: int) -> Maker:
    def made(value: Any) -> Made:
        text = text_of(value[0] if isinstance(value, list) and value else value)
        return (None if text is None else fitted(text, longest) or None), None

    return made


def _skills(value: Any) -> Made:
    texts = [text_of(one) for one in (value if isinstance(value, list) else [value])]
    skills = list(dict.fromkeys(fitted(text, LONGEST_NAME) for text in texts if text is not None))
    more = f"It names {len(skills)} skills; the first {MOST_SKILLS} count." if len(skills) > MOST_SKILLS else None
    return skills[:MOST_SKILLS] or None, more


def _seconds(value: Any) -> Made:
    seconds = seconds_from(value)
    if seconds is None:
        return None, "Its duration is none of ISO 8601, and is left out."
    if not 0.0 <= seconds <= MOST_SECONDS:
        return None, "Its duration is longer than a day, and is left out."
    return seconds, None


def _count(value: Any) -> Made:
    number = number_from(value)
    return (int(number) if number is not None and 0 <= number <= MOST_COUNT else None), None


def _share(value: Any) -> Made:
    number = number_from(value)
    return (None if number is None else min(max(number, 0.0), 1.0)), None


def _text(value: Any) -> Made:
    text = text_of(value)
    return (None if text is None else text[:LONGEST_TEXT]), None


def _as_it_is(value: Any) -> Made:
    return value, None


def _maker(name: str) -> Maker:
    if name == "skills":
        return _skills
    if name in ID_FIELDS:
        return _id(LONGEST_NAME if name in _NAMES else LONGEST_ID)
    if name in ("time_taken", "time_spent", "duration"):
        return _seconds
    if name.endswith("_score"):
        return _share
    if name in ("message", "reason", "error_type"):
        return _text
    if name in ("attempts", "hints", "total_questions", "total_exercises", "completed_exercises"):
        return _count
    return _as_it_is


MAKERS: Mapping[str, Maker] = MappingProxyType(
    {name: _maker(name) for kind in KINDS.values() for name in kind.__struct_fields__}
)
