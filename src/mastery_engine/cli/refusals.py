"""Naming what of a file is refused: each part; of a file with nothing good the first 20, and how many more."""

from typing import Generic, TypeVar

from mastery_engine.cli.console import counted, warn

NAMED = 20
HELD = 10_000

Part = TypeVar("Part")


class Refusals(Generic[Part]):
    """The parts of a file that were refused, named on stderr as they come."""

    def __init__(self, noun: str) -> None:
        """``noun`` is what the parts are, as ``line``."""
        self._noun = noun
        self._held: list[tuple[Part, str]] = []
        self._is_good = False
        self.count = 0
        self.named: list[Part] = []

    def refuse(self, part: Part, words: str) -> None:
        """Name a part, unless 20 were named and nothing good has come yet: then it may be that nothing will."""
        self.count += 1
        if self._is_good or self.count <= NAMED:
            self._name(part, words)
        elif len(self._held) < HELD:
            self._held.append((part, words))

    def take_good(self) -> None:
        """A good part has come, so that those held back are named after all."""
        if self._is_good:
            return
        self._is_good = True
        for part, words in self._held:
            self._name(part, words)
        unnamed = self.count - len(self.named)
        if unnamed:
            warn(f"{counted(unnamed, self._noun)} more before the first good one: refused, too")
        self._held.clear()

    def close(self) -> None:
        """All has been read."""
        if not self._is_good and self.count > NAMED:
            more = self.count - NAMED
            warn(f"and {counted(more, f'more {self._noun}')}: nothing in the file is good")

    def _name(self, part: Part, words: str) -> None:
        self.named.append(part)
        warn(words)


def what_of_accepted(accepted: int, applied: int | None) -> str:
    """What became of the events that went in, for a line that goes on; nothing where none did.

    ``applied`` is None where a running service applies them, which counts for itself.
    """
    if not accepted:
        return ""
    if applied is None:
        return "the running service has applied the new ones; "
    return f"{applied:,} applied, {accepted - applied:,} known before; "
