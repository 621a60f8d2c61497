"""``backtest``: compares the engine's models with baselines, on a file of your own."""

import typer

from mastery_engine.cli import backtest_forecast, backtest_skills

app = typer.Typer(help="Compare the engine's models with baselines, on a file.", no_args_is_help=True)
app.command("forecast")(backtest_forecast.forecast)
app.command("skills")(backtest_skills.skills)
