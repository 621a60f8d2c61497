"""``dump``: a school's events, scores, skills or forecasts as a file for scientists."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, assert_never

import msgspec
import typer

from mastery_engine.cli.console import (
    AsJson,
    Tenant,
    counted,
    course_if_named,
    opened,
    operator,
    progress,
    say,
    settings,
    warn,
)

if TYPE_CHECKING:
    from mastery_engine.engine import Engine

What: TypeAlias = Literal["events", "scores", "skills", "forecasts"]
Form: TypeAlias = Literal["parquet", "csv", "jsonl"]


class Dumped(msgspec.Struct, frozen=True):
    """What was written, where, and how many rows it has."""

    what: What
    format: Form
    out: str
    rows: int
    seconds: float


def dump(
    what: Annotated[What, typer.Argument(help="What to write: a row for each.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The file to write; - for standard output.", show_default=False)],
    form: Annotated[
        Form | None,
        typer.Option("--format", help="Default: what the file's name ends with.", show_default=False),
    ] = None,
    tenant: Tenant = "default",
    course: Annotated[
        str | None,
        typer.Option(
            help="Only this course. Default: all.", callback=course_if_named, metavar="ID", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a school's events, scores, skills or forecasts to a file, for pandas, polars, DuckDB and others.

    Columns are named as the fields of the calls, in full precision; times are in UTC. Who was erased or withdrew
    processing is not in it, and in skills and forecasts nobody who withdrew profiling. Events are those that the log
    still has. It may run beside serve and worker.

    \b
    Examples:
      mastery-engine dump events --out events.parquet
      mastery-engine dump scores --format csv --course algebra --out - | head
    """
    import signal
    import sys

    from mastery_engine.cli.dump_files import leave_closed_output

    chosen = _form(form, out)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the unfinished file is removed
    try:
        done = asyncio.run(_dump(what, chosen, out, tenant, course, force=force))
    except BrokenPipeError:
        leave_closed_output()
        raise typer.Exit(1) from None
    words = f"Wrote {counted(done.rows, 'row')} of {what} to {out} in {done.seconds:.1f} s."
    if str(out) == "-":
        warn(msgspec.json.encode(done).decode() if as_json else words)
    else:
        say(as_json, done, words)


def _form(form: Form | None, out: Path) -> Form:
    from mastery_engine.cli.dump_files import FORMS

    if form is None:
        named = [one for one in FORMS if out.suffix == f".{one}"]
        if not named:
            raise typer.BadParameter(f"say which of {', '.join(FORMS)} to write.", param_hint="--format")
        return named[0]
    if form == "parquet" and str(out) == "-":
        raise typer.BadParameter("Parquet needs a file: name one, or take csv or jsonl.", param_hint="--out")
    return form


async def _dump(what: What, form: Form, out: Path, tenant: str, course: str | None, *, force: bool) -> Dumped:
    from time import perf_counter

    from mastery_engine.cli.dump_files import whole_file, writer_for
    from mastery_engine.responses.dumps import ROWS

    started, rows = perf_counter(), 0
    with whole_file(out, replaces=force) as file:
        async with opened(settings(), apart=True) as engine:
            total = sum((await engine.progress.ends()).values()) if what == "events" else None
            with progress("Dumping", total) as on_progress:
                writer = writer_for(form, ROWS[what], file)
                async with aclosing(_pages(engine, what, tenant, course, on_progress)) as pages:
                    async for page in pages:
                        writer.write(page)
                        rows += len(page)
                writer.close()
    return Dumped(what, form, str(out), rows, round(perf_counter() - started, 3))


def _pages(
    engine: "Engine", what: What, tenant: str, course: str | None, on_progress: Callable[[float], None]
) -> AsyncGenerator[Sequence[msgspec.Struct]]:
    dumps, caller = engine.dumps, operator(tenant)
    match what:
        case "events":
            return dumps.events(caller, course, on_progress)
        case "scores":
            return dumps.scores(caller, course)
        case "skills":
            return dumps.skills(caller, course)
        case "forecasts":
            return dumps.forecasts(caller, course)
        case unknown:
            assert_never(unknown)
