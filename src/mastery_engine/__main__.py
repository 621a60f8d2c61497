"""``python -m mastery_engine`` is ``mastery-engine``, where the package is not installed."""

from mastery_engine.cli import main

main()
