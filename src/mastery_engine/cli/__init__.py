"""The command line: each command parses, calls the engine, and says what it did.

The exit status is 0, or 1 if something failed, or 2 if the command was not understood. What a command needs is imported
when it runs, so that ``--help`` is quick.
"""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mastery_engine import __version__
from mastery_engine.cli import (
    asyncapi,
    backtest,
    badge,
    bench,
    calibrate,
    course,
    credentials,
    curriculum,
    demo,
    dlq,
    dump,
    fit,
    health,
    ingest,
    lti,
    mcp,
    openapi,
    privacy,
    profile,
    purge,
    replay,
    roster,
    serving,
    simulate,
    token,
    topics,
    webhook,
)
from mastery_engine.errors import MasteryError


class PlainGroup(TyperGroup):
    """Says what is wrong with an argument without the words of the library that checks it."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from mastery_engine.domain.faults import plain_words

            error.message = plain_words(error.message)
            raise


app = typer.Typer(
    name="mastery-engine",
    cls=PlainGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def engine(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Mastery Engine: learning events in, each student's mastery out."""


app.command()(serving.serve)
app.command()(serving.worker)
app.command()(health.status)
app.command()(health.doctor)
app.command()(demo.demo)
app.command()(token.token)
app.command()(mcp.mcp)
app.command()(ingest.ingest)
app.command()(replay.replay)
app.add_typer(dlq.app, name="dlq")
app.add_typer(topics.app, name="topics")
app.command()(purge.purge)
app.command()(calibrate.calibrate)
app.add_typer(badge.app, name="badge")
app.add_typer(course.app, name="course")
app.add_typer(credentials.app, name="credentials")
app.add_typer(curriculum.app, name="curriculum")
app.add_typer(lti.app, name="lti")
app.add_typer(roster.app, name="roster")
app.add_typer(webhook.app, name="webhook")
app.add_typer(profile.app, name="profile")
app.command()(dump.dump)
app.command()(privacy.export)
app.command()(privacy.erase)
app.command()(simulate.simulate)
app.command()(openapi.openapi)
app.command()(asyncapi.asyncapi)
app.command()(bench.bench)
app.add_typer(backtest.app, name="backtest")
app.add_typer(fit.app, name="fit")


def main() -> None:
    """Run the command of this process's arguments."""
    try:
        app()
    except MasteryError as error:
        sys.exit(f"Error: {error.message}")
    except OSError as error:
        sys.exit(f"Error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}.")
