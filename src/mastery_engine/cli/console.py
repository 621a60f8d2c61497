"""What all commands say and ask alike: their settings, ``--json``, progress, the engine opened and closed."""

import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mastery_engine.auth.access import Caller
    from mastery_engine.services import Mastery
    from mastery_engine.settings import Settings


def tenant_named(name: str) -> str:
    """A tenant's name as an option gives it."""
    from mastery_engine.domain.events.event import TENANT

    if not re.search(TENANT, name):
        raise typer.BadParameter("a tenant has 1 to 40 of a-z, 0-9 and -, and starts with none of -.")
    return name


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Tenant = Annotated[
    str, typer.Option(help="The school or customer.", callback=tenant_named, metavar="NAME", show_default=True)
]


def settings(**given: Any) -> "Settings":
    """The settings of this process's environment; options win. Raises StartRefused."""
    from mastery_engine.settings import settings_from

    return settings_from(os.environ, **given)


def operator(tenant: str) -> "Caller":
    """Who acts on the command line: whoever may read the data folder may do all of it."""
    from mastery_engine.auth.access import Caller

    return Caller("cli", "admin", tenant)


@asynccontextmanager
async def opened(settings: "Settings", *, apart: bool = False) -> AsyncIterator["Mastery"]:
    """The engine, closed at the end; ``apart``: it serves no HTTP, and its worker takes many events at once."""
    from mastery_engine.wiring import SERVING_BATCH, WORKER_BATCH, open_mastery

    mastery = open_mastery(settings, batch_size=WORKER_BATCH if apart else SERVING_BATCH)
    try:
        yield mastery
    finally:
        await mastery.close()


def say(as_json: bool, value: Any, *words: str) -> None:
    """Print what was done: the value as JSON, or the words."""
    if as_json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(value)).decode())
    else:
        print("\n".join(words))


def unheard(_done: float) -> None:
    """What hears of progress where nobody looks."""


def complain(words: str) -> None:
    print(words, file=sys.stderr)


def _untold(_: float) -> None:
    """Nobody looks."""


@contextmanager
def progress(what: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, where that is a terminal; what it gives is to be told how much is done."""
    if not sys.stderr.isatty():
        yield unheard
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def counted(number: int, noun: str) -> str:
    """``1 event``, ``2,000 events``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
