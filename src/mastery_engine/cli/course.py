"""``course``: sets what belongs to a course, and shows it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mastery_engine.cli.console import AsJson, Tenant, counted, course_named, opened, operator, say, settings

if TYPE_CHECKING:
    from mastery_engine.domain.courses.course import CourseChange
    from mastery_engine.responses.courses import CourseEntry, CourseRecord
    from mastery_engine.settings import Settings

DEFAULT = "default"

app = typer.Typer(help="The courses of a school, and what belongs to each.", no_args_is_help=True)

CourseId = Annotated[
    str, typer.Option("--course", help="The course.", callback=course_named, metavar="ID", show_default=True)
]


@app.callback()
def course() -> None:
    """The courses of a school: their rules, time zones, curricula and items."""


@app.command()
def put(
    file: Annotated[
        Path, typer.Argument(help="What to set, as YAML or JSON.", exists=True, dir_okay=False, readable=True)
    ],
    course_id: CourseId = DEFAULT,
    tenant: Tenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Set parts of a course: title, time_zone, language, rules, curriculum, items, badges. What is left out stays.

    It counts for what is folded and asked from then on: within 5 seconds in a running serve and in every worker.

    \b
    Example:
      mastery-engine course put physics.yaml --course physics-7b
    """
    from mastery_engine.domain.courses.course_file import at_line_of, course_change_from
    from mastery_engine.errors import InvalidInput

    source = file.read_bytes()
    change = course_change_from(source)
    try:
        record = asyncio.run(put_course(settings(), tenant, course_id, change))
    except InvalidInput as error:
        raise at_line_of(source, error) from error
    say(as_json, record, _in_words(record))


async def put_course(settings: "Settings", tenant: str, course_id: str, change: "CourseChange") -> "CourseRecord":
    """Set parts of a course, as an operator."""
    async with opened(settings) as engine:
        return await engine.courses.put(operator(tenant), course_id, change)


@app.command()
def show(
    course_id: Annotated[str, typer.Argument(help="The course.", callback=course_named, metavar="ID")] = DEFAULT,
    tenant: Tenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show a course as it holds now, with what nobody set by default.

    \b
    Example:
      mastery-engine course show physics-7b --json
    """

    async def shown() -> "CourseRecord":
        async with opened(settings()) as engine:
            return await engine.courses.show(operator(tenant), course_id)

    record = asyncio.run(shown())
    say(as_json, record, _in_words(record))


@app.command("list")
def list_all(tenant: Tenant = DEFAULT, as_json: AsJson = False) -> None:
    """List the courses of a school: those that were set, and those that events have named.

    \b
    Example:
      mastery-engine course list
    """

    async def listed() -> list["CourseEntry"]:
        entries: list[CourseEntry] = []
        async with opened(settings()) as engine:
            page = await engine.courses.list(operator(tenant))
            entries += page.courses
            while page.next_cursor is not None:
                page = await engine.courses.list(operator(tenant), cursor=page.next_cursor)
                entries += page.courses
        return entries

    entries = asyncio.run(listed())
    lines = [
        f"{one.course_id}: {one.title}, {one.time_zone}, {counted(one.skills, 'skill')}, {counted(one.items, 'item')}"
        for one in entries
    ]
    say(as_json, {"courses": entries}, *lines)


def _in_words(record: "CourseRecord") -> str:
    skills = sum(len(module.skills) for module in record.curriculum.modules)
    levels = ", ".join(f"{level.name} from {level.from_score:g}" for level in record.rules.levels)
    return (
        f"{record.course_id}: {record.title}, version {record.version}\n"
        f"time zone {record.time_zone}, language {record.language}, {counted(skills, 'skill')}, "
        f"{counted(len(record.items), 'item')}\n"
        f"levels: {levels}; half-life {record.rules.half_life_days:g} days; badge at {record.badges or 'no level'}"
    )
