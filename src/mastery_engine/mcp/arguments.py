"""What is wrong with the arguments of a tool or prompt, in words by which a model can correct them."""

from collections.abc import Collection, Iterable

from pydantic import ValidationError

from mastery_engine.domain.faults import plain_words
from mastery_engine.mcp.quoted import quoted


def in_words(error: ValidationError) -> str:
    """All faults, each after the argument that has it."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {plain_words(fault['msg'])}" for fault in faults)


def faults_in(given: Iterable[str], known: Collection[str], required: Iterable[str] = ()) -> str | None:
    """Which names of arguments are unknown or missing; None if all are right."""
    given = set(given)
    unknown, missing = sorted(given.difference(known)), [name for name in required if name not in given]
    faults = [f"{_shown(name)}: is not an argument" for name in unknown] + [f"{name}: is required" for name in missing]
    return f"{'; '.join(faults)}. The arguments are {', '.join(known) or 'none'}." if faults else None


def _shown(name: str) -> str:
    """A name of the caller's choosing, quoted unless it looks like one."""
    return name if name.isascii() and name.isidentifier() and len(name) <= 100 else quoted(name)
