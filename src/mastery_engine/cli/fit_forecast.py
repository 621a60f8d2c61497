"""``fit forecast``: fits the parameters of the forecast to a file of events."""

from pathlib import Path
from typing import Annotated

import typer

from mastery_engine.cli.backtest_forecast import Calendar, Events
from mastery_engine.cli.console import AsJson, progress, say
from mastery_engine.cli.model_out import model_out


def forecast(
    file: Events,
    out: Annotated[
        Path, typer.Option(help="The file of parameters to write; its other parts stay.", dir_okay=False)
    ] = Path("model.msgpack"),
    calendar: Calendar = None,
    as_json: AsJson = False,
) -> None:
    """Fit the forecast to a file of events; serve and worker load the result through MODEL_FILE.

    \b
    Example:
      mastery-engine fit forecast events.jsonl.gz --out model.msgpack
    """
    from mastery_engine.domain.forecast.model import with_forecast
    from mastery_engine.lab.forecast.fit import fit_forecast

    with model_out(out) as target:
        with progress("Collecting cases, then fitting", None) as on_progress:
            parameters = fit_forecast(file, calendar, on_progress=on_progress)
        written = with_forecast(target.source(), parameters)
        target.write(written)
    with_calendar = parameters.with_calendar is not None
    words = (
        f"Wrote {out} ({len(written):,} bytes): a forecast {'with and ' if with_calendar else ''}without a calendar."
    )
    say(as_json, {"file": str(out), "bytes": len(written), "with_calendar": with_calendar}, words)
