"""``fit``: parameters of the engine's models, fitted on a file of your own."""

import typer

from mastery_engine.cli import fit_forecast

app = typer.Typer(help="Fit the engine's models to a file; MODEL_FILE takes what comes out.", no_args_is_help=True)
app.command("forecast")(fit_forecast.forecast)
