"""The answers of the doors for schools: what became of each message."""

from typing import Literal

import msgspec


class DoorResult(msgspec.Struct, frozen=True):
    """What became of one message.

    ``id`` is the sender's, null where it gave none. ``reason`` says why it is ignored or refused, and of evidence what
    was not taken as it stood. ``events`` are the ids of the learning events that it became.
    """

    id: str | None
    status: Literal["evidence", "ignored", "refused"]
    reason: str | None
    events: list[str]


class DoorResults(msgspec.Struct, frozen=True):
    """What became of each message, in their order."""

    results: list[DoorResult]
