"""Closed lists of words. For type checkers they are literals; an engine that is newer than this client may say more."""

from typing import Annotated, Any

from msgspec import Meta


def words(*known: str) -> Any:
    """The type of a field that takes these words: it reads others too, so that an older client goes on."""
    return Annotated[str, Meta(extra_json_schema={"enum": list(known)})]
