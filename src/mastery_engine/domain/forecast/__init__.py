"""The forecast of the score for the next days."""
