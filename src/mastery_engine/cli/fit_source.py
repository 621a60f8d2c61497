"""What `fit answers` and `fit skills` have in common: their options, and where the answers come from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from mastery_engine.cli.console import opened

if TYPE_CHECKING:
    from mastery_engine.domain.moments import Micros
    from mastery_engine.settings import Settings
    from mastery_engine.worker.logged_answers import LoggedAnswer

SOONEST, WEEK_MINUTES = 10, 10_080  # an event may be five minutes ahead, and a service reads the file twice a minute
SOON = 15
MODEL = Path("model.msgpack")

AnswersFile: TypeAlias = Annotated[
    Path | None,
    typer.Argument(help="The answers, as for `backtest skills`.", exists=True, dir_okay=False, show_default=False),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        help="The file of parameters to write; its other parts stay. Default: MODEL_FILE, or model.msgpack.",
        dir_okay=False,
        show_default=False,
    ),
]
Ahead: TypeAlias = Annotated[
    int, typer.Option(help="With --from-log: the minutes until it counts.", min=SOONEST, max=WEEK_MINUTES)
]


def check_source(file: Path | None, *, from_log: bool) -> None:
    """Raises BadParameter unless there is exactly one source."""
    if from_log == (file is not None):
        raise typer.BadParameter("give a file of answers, or --from-log.")


def version_of(file: Path) -> str:
    """The version of what is fitted to a file: the same for the same answers."""
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


async def logged_answers(settings: "Settings") -> tuple[list["LoggedAnswer"], "Micros"]:
    """The answers in the log, and the present moment. A MODEL_FILE that cannot be read is no hindrance."""
    async with opened(settings.model_copy(update={"model_file": None}), apart=True) as engine:
        return await engine.logged_answers.read(), engine.clock()
