"""What the commands share: settings, ``--json``, progress bars, and opening and closing the engine."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mastery_engine.domain.printable import printable

if TYPE_CHECKING:
    from mastery_engine.auth.access import Caller
    from mastery_engine.clock import Clock
    from mastery_engine.engine import Engine
    from mastery_engine.settings import Settings

LAYOUT = "\n\t"


def tenant_if_named(name: str | None) -> str | None:
    """A tenant's name from an option that may be left out, checked."""
    return None if name is None else tenant_named(name)


def tenant_named(name: str) -> str:
    """A tenant's name from an option, checked."""
    from mastery_engine.domain.events.event import check_tenant

    return _checked(check_tenant, name)


def student_named(name: str) -> str:
    """A student's id from an option or argument, checked."""
    from mastery_engine.domain.given_ids import check_student_id

    return _checked(check_student_id, name)


def cohort_named(name: str) -> str:
    """A cohort's id from an option, in its normal form."""
    return _id_named(name, "a cohort's id")


def course_named(name: str) -> str:
    """A course's id from an option or argument, in its normal form."""
    return _id_named(name, "a course's id")


def course_if_named(name: str | None) -> str | None:
    """A course's id from an option that may be left out, in its normal form."""
    return None if name is None else course_named(name)


def readable_file(path: Path) -> Path:
    """A file from an argument that is there, or ``-`` for standard input."""
    if str(path) != "-" and (path.is_dir() or not path.exists()):
        raise typer.BadParameter(f"there is no file {path}.")
    return path


def _id_named(name: str, what: str) -> str:
    from mastery_engine.domain.given_ids import normal_id

    return _checked(lambda given: normal_id(given, what), name)


def _checked(check: Callable[[str], str], name: str) -> str:
    from mastery_engine.errors import InvalidInput

    try:
        return check(name)
    except InvalidInput as error:
        raise typer.BadParameter(error.message) from error


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Tenant = Annotated[
    str, typer.Option(help="The school or customer.", callback=tenant_named, metavar="NAME", show_default=True)
]
OnlyTenant = Annotated[
    str | None,
    typer.Option(
        "--tenant", help="Only those of this school.", callback=tenant_if_named, metavar="NAME", show_default=False
    ),
]


def settings(**given: Any) -> "Settings":
    """The settings of this process's environment; options win over it. Raises StartRefused."""
    from mastery_engine.settings import settings_from

    return settings_from(os.environ, **given)


def operator(tenant: str = "default") -> "Caller":
    """The caller for commands: an operator, since whoever can read the data folder may do everything."""
    from mastery_engine.auth.access import Caller

    return Caller("cli", "admin", tenant)


@asynccontextmanager
async def opened(settings: "Settings", *, apart: bool = False, clock: "Clock | None" = None) -> AsyncIterator["Engine"]:
    """The engine, closed at the end. ``apart`` from HTTP, its worker reads many events at once.

    It goes by the system's clock where none is given.
    """
    from mastery_engine.wiring import SERVING_BATCH, WORKER_BATCH, open_engine
    from mastery_engine.wiring_clocks import system_clock

    engine = open_engine(settings, clock=clock or system_clock, batch_size=WORKER_BATCH if apart else SERVING_BATCH)
    try:
        yield engine
    finally:
        await engine.close()


def say(as_json: bool, value: Any, *words: str) -> None:
    """Print what was done: the value as JSON, or the lines of text.

    Students and other systems wrote some of it: no terminal is to obey what they wrote.
    """
    if as_json:
        import msgspec

        print(printable(msgspec.json.format(msgspec.json.encode(value)).decode(), kept=LAYOUT))
    else:
        print(printable("\n".join(words), kept=LAYOUT))


def warn(words: str) -> None:
    """Print to stderr; as for ``say``."""
    print(printable(words, kept=LAYOUT), file=sys.stderr)


def ignore_progress(_done: float) -> None:
    """Takes progress that is not shown."""


@contextmanager
def progress(what: str, total: float | None) -> Iterator[Callable[[float], None]]:
    """A progress bar on stderr if that is a terminal; gives the function to call with how much is done."""
    if not sys.stderr.isatty():
        yield ignore_progress
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
