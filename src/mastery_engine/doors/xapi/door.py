"""The door of xAPI: statements as they are stored or sent (xAPI 2.0, 4.2)."""

from mastery_engine.doors.door import Door, as_sent
from mastery_engine.doors.xapi.agents import learner_of

# What a record store adds to a statement: a repeat has other ones.
OF_THE_STORE = ("id", "stored", "authority", "version")

XAPI = Door(
    name="xapi",
    kind=("verb", "id"),
    kind_is="the verb",
    message_id=("id",),
    timestamp=("timestamp",),
    prepared=as_sent,
    identity=learner_of,
    learner=("actor",),
    score={
        "raw": ("result.score.raw",),
        "min": ("result.score.min",),
        "max": ("result.score.max",),
        "scaled": ("result.score.scaled",),
        "success": ("result.success",),
    },
    short={"verb": "verb.id", "activity": "object.definition.type"},
    without_id=OF_THE_STORE,
)
