"""``dlq``: the dead letters, which are the events that could not be processed."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mastery_engine.cli.console import AsJson, counted, opened, operator, say, settings, unheard

if TYPE_CHECKING:
    from mastery_engine.ports.event_log import DeadLetter
    from mastery_engine.services import Mastery

PAGE = 500

app = typer.Typer(
    help="The events that could not be processed: list, show, redrive.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_(
    after: Annotated[int, typer.Option(help="Only those with a greater id.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """List the dead letters, oldest first: id, receipt, student, event, reason.

    \b
    Example:
      mastery-engine dlq list --limit 20
    """
    letters = asyncio.run(_list(after, limit))
    say(as_json, [_shown(letter) for letter in letters], *(map(_line, letters) if letters else ["No dead letters."]))


@app.command()
def show(letter_id: Annotated[int, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """Show one dead letter with its bytes as they came.

    \b
    Example:
      mastery-engine dlq show 17
    """
    shown = _shown(asyncio.run(_show(letter_id)))
    say(as_json, shown, *[f"{name}: {value}" for name, value in shown.items() if value is not None])


@app.command()
def redrive(
    letter_ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were not redriven before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back into the log, each once, and have them worked. One that is still bad becomes a new letter.

    \b
    Example:
      mastery-engine dlq redrive 17 18
    """
    if bool(letter_ids) == everything:
        raise typer.BadParameter("give the ids of dead letters, or --all.")
    redriven, skipped, empty, failed = asyncio.run(_redrive(letter_ids))
    words = [f"Put {counted(len(redriven), 'dead letter')} back into the log; {failed:,} could not be processed again."]
    words += [f"Redriven before, and left alone: {', '.join(map(str, skipped))}."] if skipped else []
    words += [f"Without content, so that nothing could come of them: {', '.join(map(str, empty))}."] if empty else []
    say(as_json, {"redriven": redriven, "skipped": skipped, "empty": empty, "failed_again": failed}, *words)
    if failed:
        raise typer.Exit(1)


async def _list(after: int, limit: int) -> list["DeadLetter"]:
    async with opened(settings()) as mastery:
        letters = await mastery.log.dead_letters(after=after, limit=limit)
        await _audit(mastery, letters, "dlq-list")
        return letters


async def _show(letter_id: int) -> "DeadLetter":
    async with opened(settings()) as mastery:
        letter = await _found(mastery, letter_id)
        await _audit(mastery, [letter], "dlq-show")
        return letter


async def _redrive(letter_ids: Sequence[int] | None) -> tuple[list[int], list[int], list[int], int]:
    """The letters put back, those that had been before, those without content, and how many are dead again."""
    from mastery_engine.cli.feeding import worked, working
    from mastery_engine.wiring import WorkerLock

    chosen = settings()
    async with opened(chosen) as mastery:
        letters = await _all(mastery) if letter_ids is None else [await _found(mastery, one) for one in letter_ids]
        known = {letter.letter_id for letter in await _all(mastery)}
        await _audit(mastery, letters, "dlq-redrive")
        # What is empty came so, or consent forbids what it held.
        empty = [one.letter_id for one in letters if one.value is None]
        full = [one.letter_id for one in letters if one.value is not None]
        put = await mastery.log.redrive(full, mastery.clock())
        ends: dict[int, int] = {}
        for position in put.values():
            ends[position.partition] = max(ends.get(position.partition, 0), position.offset + 1)
        async with working(mastery, WorkerLock(chosen)) as work:
            await worked(mastery, ends, work, unheard)
        again = [letter for letter in await _all(mastery) if letter.letter_id not in known]
    if letter_ids is None:
        return list(put), [], [], len(again)
    return list(put), [one for one in full if one not in put], empty, len(again)


async def _found(mastery: "Mastery", letter_id: int) -> "DeadLetter":
    from mastery_engine.errors import NotFound

    letter = await mastery.log.dead_letter(letter_id)
    if letter is None:
        raise NotFound(f"There is no dead letter {letter_id}; `mastery-engine dlq list` lists them.")
    return letter


async def _all(mastery: "Mastery") -> list["DeadLetter"]:
    letters: list[DeadLetter] = []
    after = 0
    while page := await mastery.log.dead_letters(after=after, limit=PAGE):
        letters += page
        after = page[-1].letter_id
    return letters


async def _audit(mastery: "Mastery", letters: Sequence["DeadLetter"], call: str) -> None:
    """Whose data was seen or put back, on record."""
    for tenant in sorted({letter.tenant for letter in letters}):
        students = {letter.student_id for letter in letters if letter.tenant == tenant and letter.student_id}
        await mastery.trail.write(operator(tenant), call, sorted(students))


def _shown(letter: "DeadLetter") -> dict[str, Any]:
    """A dead letter for JSON: bytes as text where they are text."""
    from mastery_engine.domain.moments import rfc3339

    return {
        "id": letter.letter_id,
        "received": rfc3339(letter.received),
        "dead_since": rfc3339(letter.at),
        "tenant": letter.tenant,
        "student_id": letter.student_id,
        "event_id": letter.event_id,
        "code": letter.code,
        "reason": letter.message,
        "attempts": letter.attempts,
        "redriven": None if letter.redriven is None else rfc3339(letter.redriven),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "headers": {name: _readable(value) for name, value in letter.headers.items()},
        "key": None if letter.key is None else letter.key.decode(errors="backslashreplace"),
        "value": None if letter.value is None else letter.value.decode(errors="backslashreplace"),
    }


def _readable(header: str) -> str:
    return header.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _line(letter: "DeadLetter") -> str:
    shown = _shown(letter)
    redriven = " (redriven)" if letter.redriven else ""
    return (
        f"{shown['id']}  {shown['received']}  {shown['student_id'] or '-'}  {shown['event_id'] or '-'}  "
        f"{shown['code']}: {shown['reason']}{redriven}"
    )
