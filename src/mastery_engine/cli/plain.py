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
_TYPES = {
    "str": "TEXT",
    "int": "NUMBER",
    "int range": "NUMBER",
    "float": "NUMBER",
    "float range": "NUMBER",
    "file": "FILE",
    "directory": "FOLDER",
    "path": "PATH",
}


class PlainGroup(TyperGroup):
    """A group that says of each command its whole first sentence, in its help and where Tab completes.

    Below its commands stands the example of the first.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        for command in self.commands.values():
            command.short_help = command.short_help or _first_sentence(command.help or "")
            for parameter in command.params:
                _name_values(parameter)
        self.epilog = self.epilog or _example_of(self.commands.values())

    def make_context(self, *about: Any, **more: Any) -> Any:
        with _in_our_words():
            return super().make_context(*about, **more)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        with _in_our_words():
            return super().invoke(ctx)


def _name_values(parameter: Any) -> None:
    """Let the help of a parameter say what its values are as people do: ``NUMBER``, and ``1 to 100``."""
    type_of, range_of = parameter.display_type, parameter._get_number_range_help_str
    parameter.display_type = lambda ctx: plain_type(type_of(ctx))
    parameter._get_number_range_help_str = lambda: plain_range(range_of())


def plain_type(shown: str) -> str:
    """``<list[int range]>`` as NUMBER; choices stay as they are."""
    name = re.sub(r"^<(?:list\[)?(.*?)\]?>$", r"\1", shown)
    return _TYPES.get(name, f"<{name}>")


def plain_range(shown: str | None) -> str | None:
    """``1<=x<=9`` as ``1 to 9``."""
    least, _, most = (shown or "").partition("<=x<=")
    return f"{least} to {most}" if most else least.replace("x>=", "from ").replace("x<=", "up to ") or None


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
