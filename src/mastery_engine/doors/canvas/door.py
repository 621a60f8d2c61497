"""The door of Canvas: Live Events in Canvas's own form, ``metadata`` and ``body``."""

from mastery_engine.doors.canvas.people import canvas_person
from mastery_engine.doors.door import Door, as_sent

CANVAS_EVENTS = Door(
    name="canvas",
    kind=("metadata", "event_name"),
    kind_is="the event",
    message_id=("metadata", "event_id"),
    timestamp=("metadata", "event_time"),
    prepared=as_sent,
    identity=canvas_person,
    learner=("body.user_id", "body.student_id", "metadata.user_id"),
    score={
        "raw": ("body.score",),
        "min": (),
        "max": ("body.points_possible",),
        "scaled": (),
        "success": (),
    },
    short={"event": "metadata.event_name"},
)
