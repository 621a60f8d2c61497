"""``topics``: Kafka's topics."""

import typer

from mastery_engine.cli.console import AsJson, say, settings

app = typer.Typer(help="Kafka's topics.", no_args_is_help=True)


@app.callback()
def topics() -> None:
    """Kafka's topics."""


@app.command()
def create(as_json: AsJson = False) -> None:
    """Make the topics that are missing; existing ones are checked and left as they are.

    \b
    Example:
      KAFKA_BROKER=localhost:9092 mastery-engine topics create
    """
    import msgspec

    from mastery_engine.backends.kafka.topic_plans import TOPICS, differences
    from mastery_engine.backends.kafka.topics import ensure_topics
    from mastery_engine.errors import StartRefused
    from mastery_engine.wiring import kafka_settings

    chosen = settings()
    if chosen.kafka_broker is None:
        raise StartRefused("Set KAFKA_BROKER to Kafka's host:port first.")
    made = ensure_topics(msgspec.structs.replace(kafka_settings(chosen), create_topics=True))
    there = [name for name in TOPICS if name not in made]
    differ = differences(kafka_settings(chosen)) if there else []
    words = [
        f"Made {', '.join(made)}." if made else "",
        f"There already: {', '.join(there)}." if there else "",
        *(f"Left as it is: {words}" for words in differ),
    ]
    say(as_json, {"made": made, "there": there, "differ": differ}, *filter(None, words))
