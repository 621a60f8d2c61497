"""``backtest forecast``: a week ahead, on students that nothing was fitted on."""

from pathlib import Path
from typing import Annotated

import typer

from mastery_engine.cli.console import AsJson, complain, progress, say

Calendar = Annotated[
    Path | None,
    typer.Option(
        help="CSV with cohort_id and due: the days on which work is due.",
        show_default=False,
        exists=True,
        dir_okay=False,
    ),
]
Events = Annotated[Path, typer.Argument(help="Events, a JSON line each, plain or gzip.", exists=True, dir_okay=False)]


def forecast(
    file: Events,
    calendar: Calendar = None,
    models: Annotated[
        str | None, typer.Option(help="Only those, as NAME,NAME.", show_default=False, metavar="NAMES")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write the engine's quantiles here, as CSV.", show_default=False)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with plots here, as HTML.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit on 80% of the students, forecast the others a week ahead, and score all models in one run.

    \b
    Example:
      mastery-engine backtest forecast events.jsonl.gz --calendar due.csv --report forecast.html
    """
    from mastery_engine.lab.forecast.backtest import ENGINE, backtest, write_predictions
    from mastery_engine.lab.forecast.report import page, table

    chosen = [name.strip() for name in (models or "").split(",") if name.strip()]
    if chosen and ENGINE not in chosen and (predictions or report):
        raise typer.BadParameter(f"--predictions and --report show the model {ENGINE}: name it among --models.")
    found = backtest(file, calendar, progress, models=chosen)
    if predictions is not None:
        write_predictions(predictions, found)
    if report is not None:
        report.write_text(page(found))
    if found.result.left_out:
        complain("Left out: damped Holt, which takes statsmodels (pip install 'mastery-engine[lab]').")
    say(as_json, found.result, *table(found.result))
