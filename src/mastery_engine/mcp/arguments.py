"""What is wrong with the arguments of a tool or prompt, in words that a model can mend them by."""

import re
from collections.abc import Collection, Iterable

from pydantic import ValidationError

WORDS = (
    (r"^(?:Input|String|Value) should be less than or equal to ", "must be at most "),
    (r"^(?:Input|String|Value) should be greater than or equal to ", "must be at least "),
    (r"^(?:Input|String|Value|List) should ", "must "),
    (r" after validation, not \d+$", ""),
    (r"^Field required$", "is required"),
)


def in_words(error: ValidationError) -> str:
    """All faults, each after the argument that has it."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {_plain(fault['msg'])}" for fault in faults)


def faults_in(given: Iterable[str], known: Collection[str], required: Iterable[str] = ()) -> str | None:
    """What is unknown or missing among the names of the arguments; None where nothing is."""
    given = set(given)
    unknown, missing = sorted(given.difference(known)), [name for name in required if name not in given]
    found = [f"{name[:100]}: is no argument here" for name in unknown] + [f"{name}: is required" for name in missing]
    return f"{'; '.join(found)}. The arguments are {', '.join(known) or 'none'}." if found else None


def _plain(words: str) -> str:
    for pattern, instead in WORDS:
        words = re.sub(pattern, instead, words)
    return words
