"""``dlq``: the dead letters, which are the events that could not be processed."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, OnlyTenant, counted, ignore_progress, opened, operator, say, settings

if TYPE_CHECKING:
    from mastery_engine.responses.dead_letters import ShownLetter
    from mastery_engine.services.dead_letters import Redriven

LARGEST = 2**63 - 1  # of ids in a database

app = typer.Typer(
    help="The events that could not be processed: list, show, redrive.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_(
    after: Annotated[int, typer.Option(help="Only letters with a greater id.", min=0, max=LARGEST)] = 0,
    limit: Annotated[int, typer.Option(help="The most letters to list.", min=1, max=LARGEST)] = 100,
    tenant: OnlyTenant = None,
    as_json: AsJson = False,
) -> None:
    """List the dead letters, oldest first: id, time of receipt, student, event, reason.

    \b
    Example:
      mastery-engine dlq list --limit 20
    """
    letters = asyncio.run(_list(after, limit, tenant))
    say(as_json, letters, *(map(_line, letters) if letters else ["There are no dead letters."]))


@app.command()
def show(
    letter_id: Annotated[int, typer.Argument(help="The letter's id.", metavar="ID", min=1, max=LARGEST)],
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with its content as it came.

    \b
    Example:
      mastery-engine dlq show 17
    """
    import msgspec

    letter = asyncio.run(_find(letter_id))
    fields = msgspec.to_builtins(letter)
    say(as_json, letter, *[f"{name}: {value}" for name, value in fields.items() if value is not None])


@app.command()
def redrive(
    letter_ids: Annotated[
        list[int] | None,
        typer.Argument(help="The ids of letters.", metavar="ID...", show_default=False, min=1, max=LARGEST),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters that were not redriven before.")] = False,
    tenant: OnlyTenant = None,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back into the log, each once, and process them. One that fails again becomes a new letter.

    \b
    Examples:
      mastery-engine dlq redrive 17 18
      mastery-engine dlq redrive --all --tenant school-1
    """
    if bool(letter_ids) == everything:
        raise typer.BadParameter("give the ids of dead letters, or --all.")
    if tenant is not None and not everything:
        raise typer.BadParameter("--tenant goes with --all: an id names one letter.")
    done, failed = asyncio.run(_redrive(letter_ids, tenant))
    words = [
        f"Put {counted(len(done.redriven), 'dead letter')} back into the log; {failed:,} could not be processed again."
    ]
    if done.skipped:
        words.append(f"Not redriven again: {', '.join(map(str, done.skipped))}.")
    if done.empty:
        words.append(f"Not redriven, because they have no content: {', '.join(map(str, done.empty))}.")
    say(
        as_json,
        {"redriven": done.redriven, "skipped": done.skipped, "empty": done.empty, "failed_again": failed},
        *words,
    )
    if failed:
        raise typer.Exit(1)


async def _list(after: int, limit: int, tenant: str | None) -> list["ShownLetter"]:
    async with opened(settings()) as engine:
        return await engine.dead_letters.page(operator(), after=after, limit=limit, tenant=tenant)


async def _find(letter_id: int) -> "ShownLetter":
    async with opened(settings()) as engine:
        return await engine.dead_letters.find(operator(), letter_id)


async def _redrive(letter_ids: Sequence[int] | None, tenant: str | None) -> tuple["Redriven", int]:
    """What the redrive did, and how many of the letters failed again."""
    from mastery_engine.cli.feeding import working
    from mastery_engine.data_folder import WorkerLock

    chosen = settings()
    async with opened(chosen) as engine:
        before = await engine.dead_letters.ids()
        done = await engine.dead_letters.redrive(operator(), letter_ids, tenant=tenant)
        async with working(engine, WorkerLock(chosen)) as work:
            await engine.progress.wait_for(done.ends, work, ignore_progress)
        return done, len(await engine.dead_letters.ids() - before)


def _line(letter: "ShownLetter") -> str:
    redriven = " (redriven)" if letter.redriven else ""
    return (
        f"{letter.letter_id}  {letter.received}  {letter.student_id or '-'}  {letter.event_id or '-'}  "
        f"{letter.code}: {letter.reason}{redriven}"
    )
