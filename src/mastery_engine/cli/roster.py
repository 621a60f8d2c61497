"""``roster import``: a school's own lists of people and classes become profiles and cohorts."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, Tenant, counted, opened, operator, say, settings

if TYPE_CHECKING:
    from mastery_engine.responses.rosters import ImportedRoster, RosterChanges, RosterRow
    from mastery_engine.settings import Settings

app = typer.Typer(help="A school's own lists of its people and classes.", no_args_is_help=True)


@app.callback()
def roster() -> None:
    """A school's own lists of its people and classes."""


@app.command("import")
def import_zip(
    file: Annotated[
        Path, typer.Argument(help="A OneRoster zip, 1.1 or 1.2.", exists=True, dir_okay=False, readable=True)
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Import a roster: users become profiles, classes cohorts with their teachers, enrolments who is in them.

    It may be repeated, and beside a running serve; what is as the file says stays as it is. It erases nobody.

    \b
    Example:
      mastery-engine roster import oneroster.zip --dry-run
    """
    answer = asyncio.run(import_roster(settings(), tenant, file.read_bytes(), dry_run=dry_run))
    say(as_json, answer, *_in_words(answer))


async def import_roster(settings: "Settings", tenant: str, source: bytes, *, dry_run: bool) -> "ImportedRoster":
    """Import a roster, as an operator."""
    async with opened(settings) as engine:
        return await engine.rosters.import_oneroster(operator(tenant), source, dry_run=dry_run)


def _in_words(answer: "ImportedRoster") -> list[str]:
    return [
        f"OneRoster {answer.version}{': nothing was changed (--dry-run)' if answer.dry_run else ''}",
        _counts("users", answer.users),
        _counts("classes", answer.classes),
        _counts("students in classes", answer.students),
        _counts("teachers of classes", answer.teachers),
        *_rows("ignored", answer.ignored_count, answer.ignored),
        *_rows("wrong", answer.wrong_count, answer.wrong),
    ]


def _counts(what: str, found: "RosterChanges") -> str:
    return (
        f"{what}: {found.added:,} added, {found.changed:,} changed, {found.removed:,} removed, "
        f"{found.unchanged:,} as they were"
    )


def _rows(what: str, count: int, rows: list["RosterRow"]) -> list[str]:
    if not count:
        return []
    more = [f"  and {count - len(rows):,} more"] if count > len(rows) else []
    return [
        f"{counted(count, 'row')} {what}:",
        *(f"  {row.file} line {row.line} ({row.sourced_id}): {row.reason}" for row in rows),
        *more,
    ]
