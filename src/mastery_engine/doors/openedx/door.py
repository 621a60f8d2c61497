"""The door of Open edX: tracking events, as the log has them and as its event bus carries them.

The log has ``event_type``, ``time`` and ``event`` (a text where a browser sent it), with the username beside them; the
bus and event-routing-backends have ``name``, ``timestamp`` and ``data``, with it in the context. Profiles see the
second.
"""

from typing import Any

import msgspec

from mastery_engine.domain.people.identity import Identity, identity
from mastery_engine.doors.door import Door
from mastery_engine.doors.profiles.paths import text_of
from mastery_engine.errors import InvalidInput

OPENEDX_SYSTEM = "openedx"
IMPLICIT = "a page"  # the kind of the events that are named after the address that a browser asked for
_FIRST = (("name", "event_type"), ("timestamp", "time"), ("data", "event"))

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def person_named(username: Any) -> Identity | None:
    """The identity of a person by their username."""
    text = text_of(username)
    try:
        return None if text is None else identity(OPENEDX_SYSTEM, text)
    except InvalidInput:
        return None


def in_one_form(event: dict[str, Any]) -> dict[str, Any]:
    """The event with ``name``, ``timestamp``, ``data``, ``context``, ``username`` and ``event_source``.

    ``parts`` are the questions of a problem that has several, by their ids, and ``question`` the one of a problem that
    has one; ``block`` is the block of a video, of which the event holds the last part of its id alone.
    """
    inside = event.get("tracking_log")
    event = inside if isinstance(inside, dict) else event
    made: dict[str, Any] = {}
    for name, other in _FIRST:
        made[name] = event.get(name, event.get(other))
    if isinstance(made["name"], str) and made["name"].startswith("/"):
        made["name"] = IMPLICIT
    data, context = _fields(made["data"]), _fields(event.get("context"))
    made["data"], made["context"] = data, context
    made["username"] = context.get("username") or event.get("username")
    made["event_source"] = context.get("event_source") or event.get("event_source")
    if "success" in data:
        made["succeeded"] = data["success"] == "correct"
    submissions = data.get("submission")
    if isinstance(submissions, dict):
        questions = [one for one in submissions.values() if isinstance(one, dict)]
        if len(submissions) > 1:
            made["parts"] = submissions
        elif questions:
            made["question"] = questions[0]
    block = video_block(context.get("course_id"), data.get("id"))
    if block is not None:
        made["block"] = block
    return made


def video_block(course: Any, ending: Any) -> str | None:
    """The id of a video's block, by the course's key and the last part of its id, which is all that a player knows."""
    if not isinstance(course, str) or not isinstance(ending, str) or not ending:
        return None
    for key, block in (("course-v1:", "block-v1:"), ("ccx-v1:", "ccx-block-v1:")):
        if course.startswith(key):
            return f"{block}{course.removeprefix(key)}+type@video+block@{ending}"
    return None


def _fields(value: Any) -> dict[str, Any]:
    """An object, or what a text of JSON holds; empty for anything else."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        return {}
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}


OPENEDX = Door(
    name="openedx",
    kind=("name",),
    kind_is="the event",
    message_id=("id",),
    timestamp=("timestamp",),
    prepared=in_one_form,
    identity=person_named,
    learner=("username",),
    score={
        "raw": ("data.grade",),
        "min": (),
        "max": ("data.max_grade",),
        "scaled": (),
        "success": ("question.correct", "succeeded"),
    },
    short={"event": "name"},
)
