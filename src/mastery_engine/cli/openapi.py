"""``openapi``: prints the contract of the HTTP calls."""

import json

from mastery_engine.cli.console import AsJson, settings


def openapi(as_json: AsJson = True) -> None:  # noqa: ARG001  it is JSON in any case
    """Print the OpenAPI document, as JSON.

    \b
    Example:
      mastery-engine openapi > openapi.json
    """
    from mastery_engine.service import create_app

    print(json.dumps(create_app(settings()).openapi(), indent=2, ensure_ascii=False))
