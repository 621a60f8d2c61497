"""``backtest forecast``: forecasts a week ahead, for students who were not used for fitting."""

from pathlib import Path
from typing import Annotated

import typer

from mastery_engine.cli.console import AsJson, progress, say, warn

Calendar = Annotated[
    Path | None,
    typer.Option(
        help="CSV with the columns cohort_id and due: the days on which work is due.",
        show_default=False,
        exists=True,
        dir_okay=False,
    ),
]
Events = Annotated[Path, typer.Argument(help="Events as JSON lines, plain or gzip.", exists=True, dir_okay=False)]


def forecast(
    file: Events,
    calendar: Calendar = None,
    models: Annotated[
        str | None, typer.Option(help="Only these models, as NAME,NAME.", show_default=False, metavar="NAMES")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write the engine's quantiles to this CSV file.", show_default=False)
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with plots to this HTML file.", show_default=False)
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
        raise typer.BadParameter(f"--predictions and --report need the model {ENGINE}: add it to --models.")
    measured = backtest(file, calendar, progress, models=chosen)
    if predictions is not None:
        write_predictions(predictions, measured)
    if report is not None:
        report.write_text(page(measured))
    if measured.result.left_out:
        warn("The model damped Holt is left out: it needs statsmodels (pip install 'mastery-engine[lab]').")
    say(as_json, measured.result, *table(measured.result))
