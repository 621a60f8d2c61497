"""``consent``: what a student allows, shown and changed."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from mastery_engine.cli.console import AsJson, Tenant, opened, operator, say, settings, student_named

if TYPE_CHECKING:
    from mastery_engine.responses.privacy import Consent

app = typer.Typer(help="What a student allows: to process their events, and to profile them.", no_args_is_help=True)

StudentId = Annotated[str, typer.Argument(help="The student's id.", callback=student_named, metavar="ID")]
Allowed: TypeAlias = Literal["true", "false"]


@app.callback()
def consent() -> None:
    """What a student allows: to process their events, and to profile them."""


@app.command()
def get(student: StudentId, tenant: Tenant = "default", as_json: AsJson = False) -> None:
    """Show what a student allows, and when that changed.

    \b
    Example:
      mastery-engine consent get student_12345
    """

    async def found() -> "Consent":
        async with opened(settings()) as engine:
            return await engine.privacy.consent(operator(tenant), student)

    _say(as_json, asyncio.run(found()))


@app.command("set")
def change(
    student: StudentId,
    processing: Annotated[
        Allowed | None,
        typer.Option(help="Whether events may be processed. Without it they are refused.", show_default=False),
    ] = None,
    profiling: Annotated[
        Allowed | None,
        typer.Option(
            help="Whether skills, struggles, forecasts and advice may be made of them.",
            show_default=False,
        ),
    ] = None,
    tenant: Tenant = "default",
    as_json: AsJson = False,
) -> None:
    """Record what a student allows from now on; what is left out stays as it is.

    It works beside a running serve, which heeds it within a second.

    \b
    Examples:
      mastery-engine consent set student_12345 --processing true
      mastery-engine consent set student_12345 --profiling false
    """
    if processing is None and profiling is None:
        raise typer.BadParameter("say what changes: --processing or --profiling, with true or false.")

    async def changed() -> "Consent":
        async with opened(settings()) as engine:
            return await engine.privacy.change_consent(operator(tenant), student, _of(processing), _of(profiling))

    _say(as_json, asyncio.run(changed()))


def _of(word: Allowed | None) -> bool | None:
    return None if word is None else word == "true"


def _say(as_json: bool, now: "Consent") -> None:
    lines = [f"{now.student_id} {_words(now.processing, now.profiling)}."]
    lines += [
        f"  {point.at}: {'erased' if point.erased else _words(point.processing, point.profiling)}"
        for point in now.history
    ]
    say(as_json, now, *lines)


def _words(processing: bool, profiling: bool) -> str:
    if processing and profiling:
        return "allows processing and profiling"
    if processing:
        return "allows processing, not profiling"
    return "allows no processing" + (", though profiling" if profiling else " and no profiling")
