"""``asyncapi``: prints the contract of the topics."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mastery_engine.cli.console import AsJson

Schemas = Annotated[
    Path | None,
    typer.Option(help="Also write the JSON schema of each kind of event into this folder.", file_okay=False),
]


def asyncapi(schemas: Schemas = None, as_json: AsJson = True) -> None:  # noqa: ARG001  it is JSON in any case
    """Print the AsyncAPI document of the topics, as JSON.

    \b
    Examples:
      mastery-engine asyncapi > asyncapi.json
      mastery-engine asyncapi --schemas events > asyncapi.json
    """
    from mastery_engine.responses.asyncapi import document, event_schemas

    print(json.dumps(document(), indent=2, ensure_ascii=False))
    if schemas is not None:
        schemas.mkdir(parents=True, exist_ok=True)
        for name, schema in event_schemas().items():
            (schemas / f"{name}.json").write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
