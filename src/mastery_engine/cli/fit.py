"""``fit``: fits the parameters of the engine's models to a file of your own."""

import typer

from mastery_engine.cli import fit_answers, fit_forecast, fit_skills

app = typer.Typer(help="Fit the engine's models to a file; set MODEL_FILE to the result.", no_args_is_help=True)
app.command("answers")(fit_answers.answers)
app.command("forecast")(fit_forecast.forecast)
app.command("skills")(fit_skills.skills)
