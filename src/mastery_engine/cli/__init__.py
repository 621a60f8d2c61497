"""The command line: each command parses, calls the engine, and says what it did.

The exit status is 0, or 1 if something failed, or 2 if the command was not understood. What a command needs is imported
when it runs, so that ``--help`` is quick.
"""

import os
import sys
from typing import Annotated

import typer

from mastery_engine import __version__
from mastery_engine.cli import (
    asyncapi,
    backtest,
    badge,
    bench,
    calibrate,
    completion,
    consent,
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
from mastery_engine.cli.console import LAYOUT
from mastery_engine.cli.plain import PlainGroup
from mastery_engine.domain.printable import printable
from mastery_engine.errors import MasteryError

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
    install_completion: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            help="Let Tab complete commands, options and their values in the shell in use: bash, zsh or fish.",
            callback=completion.install_completion,
            is_eager=True,
        ),
    ] = False,
    show_completion: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            help="Print what --install-completion installs.",
            callback=completion.show_completion,
            is_eager=True,
        ),
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
app.add_typer(dlq.app, name="dlq", cls=PlainGroup)
app.add_typer(topics.app, name="topics", cls=PlainGroup)
app.command()(purge.purge)
app.command()(calibrate.calibrate)
app.add_typer(badge.app, name="badge", cls=PlainGroup)
app.add_typer(consent.app, name="consent", cls=PlainGroup)
app.add_typer(course.app, name="course", cls=PlainGroup)
app.add_typer(credentials.app, name="credentials", cls=PlainGroup)
app.add_typer(curriculum.app, name="curriculum", cls=PlainGroup)
app.add_typer(lti.app, name="lti", cls=PlainGroup)
app.add_typer(roster.app, name="roster", cls=PlainGroup)
app.add_typer(webhook.app, name="webhook", cls=PlainGroup)
app.add_typer(profile.app, name="profile", cls=PlainGroup)
app.command()(dump.dump)
app.command()(privacy.export)
app.command()(privacy.erase)
app.command()(simulate.simulate)
app.command()(openapi.openapi)
app.command()(asyncapi.asyncapi)
app.command()(bench.bench)
app.add_typer(backtest.app, name="backtest", cls=PlainGroup)
app.add_typer(fit.app, name="fit", cls=PlainGroup)


def main() -> None:
    """Run the command of this process's arguments. What fails is said in a line; 1 is then the exit code."""
    completion.take_questions()
    try:
        try:
            app(prog_name=completion.PROGRAM)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except MasteryError as error:
        sys.exit(printable(f"Error: {error.message}", kept=LAYOUT))
    except BrokenPipeError:
        sys.exit(1)  # who read has read enough
    except OSError as error:
        sys.exit(f"Error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}.")
    except MemoryError:
        sys.exit("Error: there is not enough memory for this.")
    except Exception as error:  # a fault of ours: people get a line, and those who mend it all of it
        if os.environ.get("LOG_LEVEL") == "DEBUG":
            raise
        sys.exit(
            f"Error: the engine itself has failed ({type(error).__name__}). Run it again with LOG_LEVEL=DEBUG, which "
            "shows where, and report that."
        )
