"""The answers about events that were sent."""

from typing import Literal

import msgspec


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one row of many."""

    code: str
    message: str
    field: str | None = None


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of one event. ``ignored`` names the unknown fields of the envelope."""

    event_id: str | None
    status: Literal["queued", "refused"]
    error: Problem | None = None
    ignored: list[str] | None = None


class IngestResponse(msgspec.Struct, frozen=True):
    """The outcome of many events, in the request's order."""

    accepted: int
    refused: int
    results: list[Receipt]


class EventStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether an event was processed. ``not_processed`` means: not yet, or never received."""

    event_id: str
    status: Literal["processed", "dead_lettered", "not_processed"]
    reason: Problem | None = None
