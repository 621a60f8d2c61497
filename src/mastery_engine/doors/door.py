"""What differs between the doors of platforms: where a message says what it is, when, and about whom."""

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from mastery_engine.domain.given_ids import EVENT_ID
from mastery_engine.domain.ids import derived_id
from mastery_engine.domain.people.identity import Identity
from mastery_engine.doors.drafts import DoorName
from mastery_engine.doors.profiles.paths import Path

LONGEST_STEM = 90  # characters, which leaves room for the place of an event in its message

UUID_LENGTH = 36  # of a UUID as text, in which case does not matter

_is_event_id = re.compile(EVENT_ID).fullmatch
_encode = msgspec.json.Encoder(order="deterministic").encode


class Door(msgspec.Struct, frozen=True):
    """A kind of message. ``kind`` is where its own kind stands (``kind_is`` says what that is called).

    ``prepared`` puts a message into the form that profiles are about; ``identity`` says who a learner is; ``short``
    are names that conditions may use for paths; ``learner`` and ``score`` hold where the profiles say nothing.
    """

    name: DoorName
    kind: Path
    kind_is: str
    message_id: Path
    timestamp: Path
    prepared: Callable[[dict[str, Any]], dict[str, Any]]
    identity: Callable[[Any], Identity | None]
    learner: tuple[str, ...]
    score: Mapping[str, tuple[str, ...]]
    short: Mapping[str, str]
    without_id: tuple[str, ...] = ()

    def event_id(self, message: Mapping[str, Any], message_id: str | None) -> str:
        """The id of a message's event: by the message's own id, else by its content but for ``without_id``.

        Its parts may be JSON whose names are in order.
        """
        if message_id is None:
            content = {name: part for name, part in message.items() if name not in self.without_id}
            return f"{self.name}:{derived_id(self.name, blake2b(_encode(content), digest_size=32).hexdigest())}"
        plain = message_id.removeprefix("urn:uuid:")
        plain = plain.lower() if len(plain) == UUID_LENGTH else plain
        stem = f"{self.name}:{plain}"
        return (
            stem if len(stem) <= LONGEST_STEM and _is_event_id(stem) else f"{self.name}:{derived_id(self.name, plain)}"
        )


def as_sent(message: dict[str, Any]) -> dict[str, Any]:
    """The message itself."""
    return message
