"""Deep knowledge tracing, as a baseline of the next answer."""
