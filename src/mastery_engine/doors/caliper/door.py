"""The door of Caliper: the events of an envelope (Caliper 1.2, 5). What has no ``action`` describes an entity."""

import re
from typing import Any

from mastery_engine.domain.people.identity import Identity, identity
from mastery_engine.doors.canvas.people import CANVAS, canvas_person
from mastery_engine.doors.door import Door
from mastery_engine.doors.xapi.agents import MAILTO
from mastery_engine.errors import InvalidInput

ENTITY = "an entity"  # the kind of a description
_ANONYMOUS = re.compile(r"_:|https?://purl\.imsglobal\.org/caliper/")  # Caliper 1.2, 4.10: a person who is not named
_SYSTEM = re.compile(r"https?://[^/?#\s]+|urn:[^:\s]+", re.IGNORECASE)


def person_of(learner: Any) -> Identity | None:
    """The identity of a person, an entity or its identifier: the system is the identifier's scheme and host."""
    iri = learner.get("id") if isinstance(learner, dict) else learner
    if not isinstance(iri, str) or _ANONYMOUS.match(iri):
        return None
    if iri.startswith(CANVAS):
        return canvas_person(iri.rsplit(":", 1)[-1])
    try:
        if iri.startswith(MAILTO):
            return identity("mailto", iri.removeprefix(MAILTO))
        system = _SYSTEM.match(iri)
        return None if system is None else identity(system[0].lower(), iri)
    except InvalidInput:
        return None


def with_kind(message: dict[str, Any]) -> dict[str, Any]:
    """The message, of which one without an action is a description of an entity, and no event."""
    if "action" in message or not isinstance(message.get("type"), str):
        return message
    return {**message, "described": message["type"], "type": ENTITY}


CALIPER = Door(
    name="caliper",
    kind=("type",),
    kind_is="the type",
    message_id=("id",),
    timestamp=("eventTime",),
    prepared=with_kind,
    identity=person_of,
    learner=("actor",),
    score={
        "raw": ("generated.scoreGiven", "generated.score.scoreGiven", "generated.resultScore", "generated.totalScore"),
        "min": (),
        "max": ("generated.maxScore", "generated.score.maxScore", "generated.maxResultScore"),
        "scaled": (),
        "success": (),
    },
    short={"event": "type", "object": "object.type"},
)
