"""What the doors of other platforms make of a message: learning events whose person is not a student yet, or why none.

Every message has one ``Translation``: ``evidence``, with its drafts; ``ignored``, since it says nothing of what a
student knows or did; or ``refused``, since it cannot be read. The reason is a sentence for the sender.
"""

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from mastery_engine.domain.events.envelope import Scalar, SentEvent, sent_from
from mastery_engine.domain.people.identity import Identity

DoorName: TypeAlias = Literal["xapi", "caliper", "canvas", "openedx"]
Status: TypeAlias = Literal["evidence", "ignored", "refused"]

DOOR_NAMES: tuple[DoorName, ...] = ("xapi", "caliper", "canvas", "openedx")

_encode = msgspec.json.Encoder().encode


class Draft(msgspec.Struct, frozen=True, gc=False):
    """A learning event about a person whom another platform knows as ``identity``.

    ``data`` is that of ``event_type``, as section 2 of the contract has it; without a ``timestamp`` the event is of its
    receipt, without a ``course_id`` of the course that the sender's credential names.
    """

    identity: Identity
    event_type: str
    event_id: str
    data: dict[str, Any]
    timestamp: datetime | None = None
    course_id: str | None = None
    source: str | None = None
    metadata: dict[str, Scalar] = {}

    def sent(self, student_id: str, course_id: str | None = None) -> SentEvent | bytes:
        """What is read of ``event``; where that is refused, the event itself, whose reading says why."""
        sent = None
        if not self.metadata:
            sent = sent_from(
                self.event_type,
                self.data,
                student_id=student_id,
                event_id=self.event_id,
                timestamp=self.timestamp,
                source=self.source,
                course_id=self.course_id or course_id,
            )
        return sent or self.event(student_id, course_id)

    def event(self, student_id: str, course_id: str | None = None) -> bytes:
        """The learning event about a student, in JSON; ``course_id`` is the course where the draft names none."""
        envelope: dict[str, Any] = {
            "event_id": self.event_id,
            "event_type": self.event_type,
            "student_id": student_id,
            "data": self.data,
        }
        beside = {
            "timestamp": self.timestamp,
            "source": self.source,
            "course_id": self.course_id or course_id,
            "metadata": self.metadata or None,
        }
        return _encode(envelope | {name: value for name, value in beside.items() if value is not None})


class Translation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one message becomes, and why: by which rule of which profile.

    ``message_id`` is the sender's, if it gives one. ``notes`` name what was not taken as it stood, such as more points
    than there are.
    """

    status: Status
    message_id: str | None = None
    reason: str | None = None
    drafts: tuple[Draft, ...] = ()
    notes: tuple[str, ...] = ()
    profile: str | None = None
    rule: str | None = None
