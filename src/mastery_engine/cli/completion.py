"""Completion of commands, options and their values by Tab in bash, zsh and fish."""

import os
from pathlib import Path

import typer

PROGRAM = "mastery-engine"
ASKS = "_MASTERY_ENGINE_COMPLETE"  # set by a shell that asks what a word may become
SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


def take_questions() -> None:
    """Let this process answer a shell that asks."""
    if ASKS in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()


def install_completion(wanted: bool) -> None:
    """Install completion for the shell that runs this command, and say where."""
    if wanted:
        from typer.completion import install  # type: ignore[attr-defined]

        shell, path = install(_shell(), PROGRAM, ASKS)
        print(f"Completion for {shell} was installed in {path}. It works in each {shell} that starts from now on.")
        raise typer.Exit


def show_completion(wanted: bool) -> None:
    """Print what ``install_completion`` would install."""
    if wanted:
        from typer.completion import get_completion_script  # type: ignore[attr-defined]

        print(get_completion_script(prog_name=PROGRAM, complete_var=ASKS, shell=_shell()))  # nosec B604: it runs none
        raise typer.Exit


def _shell() -> str:
    """The shell that runs this command, else the user's own."""
    from typer.completion import _get_shell_name  # type: ignore[attr-defined]

    for shell in (_get_shell_name(), Path(os.environ.get("SHELL", "")).name):
        if shell in SHELLS:
            return str(shell)
    raise typer.BadParameter("which shell this is cannot be told: run the command in bash, zsh or fish, or set SHELL.")
