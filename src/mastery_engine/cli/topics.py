"""``topics``: creates the topics in Kafka."""

import typer

from mastery_engine.cli.console import AsJson, say, settings

app = typer.Typer(help="The topics in Kafka.", no_args_is_help=True)


@app.callback()
def topics() -> None:
    """The topics in Kafka."""


@app.command()
def create(as_json: AsJson = False) -> None:
    """Create the missing topics; existing ones are checked and left as they are.

    \b
    Example:
      KAFKA_BROKER=localhost:9092 mastery-engine topics create
    """
    from mastery_engine.wiring import create_topics

    made, there, differences = create_topics(settings())
    words = [
        f"Made {', '.join(made)}." if made else "",
        f"Already there: {', '.join(there)}." if there else "",
        *(f"Not changed: {difference}" for difference in differences),
    ]
    say(as_json, {"made": made, "there": there, "differ": differences}, *filter(None, words))
