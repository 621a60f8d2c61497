"""Who a person of Canvas is: their id there, whatever message names it."""

from typing import Any

from mastery_engine.domain.people.identity import Identity, identity
from mastery_engine.doors.profiles.paths import text_of
from mastery_engine.errors import InvalidInput

CANVAS = "urn:instructure:canvas"


def canvas_person(learner: Any) -> Identity | None:
    """The identity of a person by their id in Canvas, a number or a text."""
    text = text_of(learner)
    try:
        return None if text is None else identity(CANVAS, text)
    except InvalidInput:
        return None
