"""``openapi``: the contract of the HTTP calls, as the code says it."""

import json

from mastery_engine.cli.console import AsJson, settings


def openapi(as_json: AsJson = True) -> None:  # noqa: ARG001  it is JSON in any case
    """Print the OpenAPI document, which is JSON in any case.

    \b
    Example:
      mastery-engine openapi > openapi.json
    """
    from mastery_engine.http.app import create_app

    print(json.dumps(create_app(settings()).openapi(), indent=2, ensure_ascii=False))
