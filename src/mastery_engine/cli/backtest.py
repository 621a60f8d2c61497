"""``backtest``: the engine's models against what people would use instead, on a file of your own."""

import typer

from mastery_engine.cli import backtest_forecast

app = typer.Typer(help="Measure the engine's models against baselines, on a file.", no_args_is_help=True)
app.command("forecast")(backtest_forecast.forecast)
