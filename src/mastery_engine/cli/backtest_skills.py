"""``backtest skills``: predicts next answers, for students who were not used for fitting."""

from pathlib import Path
from typing import Annotated

import typer

from mastery_engine.cli.console import AsJson, progress, say

Answers = Annotated[
    Path,
    typer.Argument(
        help="CSV, plain or gzip, with student_id, item_id, skill_id (several joined by ~), correct, timestamp.",
        exists=True,
        dir_okay=False,
    ),
]


def skills(
    file: Answers,
    models: Annotated[
        str | None, typer.Option(help="Only these models, as NAME,NAME.", show_default=False, metavar="NAMES")
    ] = None,
    splits: Annotated[int, typer.Option(help="The number of splits of the students.", min=1, max=100)] = 5,
    first: Annotated[
        int | None,
        typer.Option(help="Fit on so many answers only, as at a school that begins.", min=20, show_default=False),
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write the engine's probabilities to this CSV file.", show_default=False)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with plots to this HTML file.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit on 80% of the students, predict each answer of the others, and score all models in one run.

    \b
    Example:
      mastery-engine backtest skills answers.csv.gz --report skills.html
    """
    from mastery_engine.lab.skills.answer_models import ENGINE
    from mastery_engine.lab.skills.backtest import backtest, write_predictions
    from mastery_engine.lab.skills.report import page, table

    chosen = [name.strip() for name in (models or "").split(",") if name.strip()]
    if predictions is not None and chosen and ENGINE not in chosen:
        raise typer.BadParameter(f"--predictions needs the model {ENGINE}: add it to --models.")
    with progress("Fitting and predicting", 1.0) as on_progress:
        measured = backtest(file, on_progress, models=chosen, splits=splits, first=first)
    if predictions is not None:
        write_predictions(predictions, measured)
    if report is not None:
        report.write_text(page(measured, file.name), encoding="utf-8")
    say(as_json, measured.result, *table(measured.result))
