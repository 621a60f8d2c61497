"""Groups of commands that speak our words: no help is cut, and no library's wording names what is wrong."""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

_WORDS = (
    (r"No such option: (.+)", r"There is no option \1."),
    (r"No such command '(.+)'\.(.*)", r"There is no command \1.\2"),
    (r"Got unexpected extra argument\(s\) \((.+)\)", r"The command takes no further argument: \1."),
    (r"Option '(.+)' requires an argument\.", r"\1 needs a value."),
    (r"Option '(.+)' requires \d+ arguments\.", r"\1 needs more values."),
    (r"Option '(.+)' does not take a value\.", r"\1 takes no value."),
)


class PlainGroup(TyperGroup):
    """A group that says of each command its whole first sentence, in its help and where Tab completes.

    Below its commands stands the example of the first.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        for command in self.commands.values():
            command.short_help = command.short_help or _first_sentence(command.help or "")
        self.epilog = self.epilog or _example_of(self.commands.values())

    def make_context(self, *about: Any, **more: Any) -> Any:
        with _in_our_words():
            return super().make_context(*about, **more)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        with _in_our_words():
            return super().invoke(ctx)


def _first_sentence(text: str) -> str:
    """What a text says first, in a line."""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + stop.rstrip()


def _example_of(commands: Iterable[Any]) -> str | None:
    """The first example that the help of these commands has, as the end of their group's help."""
    for command in commands:
        found = re.search(r"Examples?:\n +(.+)", f"{command.help}\n{command.epilog}")
        if found:
            return f"\b\nExample:\n  {found[1]}"
    return None


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except typer.BadParameter as error:
        from mastery_engine.domain.faults import plain_words

        error.message = plain_words(error.message)
        raise
    except (typer.Abort, UnicodeDecodeError):  # what was answered is no text either
        print("Stopped: nothing was done.", file=sys.stderr)
        raise typer.Exit(1) from None
    except Exception as error:
        message = getattr(error, "message", None)
        if isinstance(message, str):
            for pattern, words in _WORDS:
                if re.fullmatch(pattern, message):
                    error.message = re.sub(pattern, words, message)  # type: ignore[attr-defined]
        raise
