"""``backtest forecast``: forecasts a week ahead, for students who were not used for fitting."""

from pathlib import Path
from typing import Annotated

import typer

from mastery_engine.cli.console import AsJson, progress, say, settings, warn

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
    file: Annotated[
        Path | None,
        typer.Argument(help="Events as JSON lines, plain or gzip.", exists=True, dir_okay=False, show_default=False),
    ] = None,
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
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Instead of a file: 24 simulated classes that nothing was fitted on.")
    ] = False,
    plots: Annotated[
        Path | None, typer.Option(help="Write the plots as SVG to this folder.", show_default=False, file_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit on 80% of the students, forecast the others a week ahead, and score all models in one run.

    The engine's forecasts are those that would have been served, calibrated week by week for each course (the cohort_id
    or course_id of the events), by the weeks alone that were over by then.

    \b
    Example:
      mastery-engine backtest forecast events.jsonl.gz --report forecast.html
      mastery-engine backtest forecast --simulated
    """
    if simulated == (file is not None):
        raise typer.BadParameter("give a file of events, or --simulated.")
    if file is None:
        _simulated(plots, as_json)
        return
    from mastery_engine.lab.forecast.backtest import ENGINE, backtest, write_predictions
    from mastery_engine.lab.forecast.report import page, table
    from mastery_engine.lab.forecast.report import plots as drawn

    chosen = [name.strip() for name in (models or "").split(",") if name.strip()]
    if chosen and ENGINE not in chosen and (predictions or report):
        raise typer.BadParameter(f"--predictions and --report need the model {ENGINE}: add it to --models.")
    measured = backtest(file, calendar, progress, models=chosen)
    if predictions is not None:
        write_predictions(predictions, measured)
    if report is not None:
        report.write_text(page(measured))
    if plots is not None:
        _write(plots, drawn(measured))
    if measured.result.left_out:
        warn("The model damped Holt is left out: it needs statsmodels (pip install 'mastery-engine[lab]').")
    say(as_json, measured.result, *table(measured.result))


def _simulated(plots: Path | None, as_json: bool) -> None:
    """What the shipped model would have served to simulated classes."""
    from mastery_engine.domain.rules import Rules
    from mastery_engine.lab.forecast.report import served_plots, served_table
    from mastery_engine.lab.forecast.served import by_course, by_week, served_to_class
    from mastery_engine.lab.simulate.varied import CLASSES
    from mastery_engine.model_files import forecast_model

    model, rules, made = forecast_model(settings()), Rules(), []
    with progress("Forecasting simulated classes", len(CLASSES)) as on_progress:
        for place, plan in enumerate(CLASSES, 1):
            made += served_to_class(plan, model, rules, seed=1)
            on_progress(place)
    courses, weeks = by_course(made), by_week(made)
    if plots is not None:
        _write(plots, served_plots(courses, weeks))
    say(as_json, {"courses": courses, "weeks": weeks}, *served_table(courses, weeks))


def _write(folder: Path, drawn: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in drawn.items():
        (folder / f"forecast-{name}.svg").write_text(svg)
