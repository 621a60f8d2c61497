"""Many events as calls that the engine takes: up to 1,000 and 1 MiB each. Sans I/O, for both clients."""

from collections.abc import Generator, Iterable, Mapping
from itertools import chain
from typing import Any, TypeAlias
from uuid import uuid4

import msgspec

from mastery_client.answers import IngestResponse
from mastery_client.errors import IngestInterrupted, MasteryError
from mastery_client.events import LearningEvent

Event: TypeAlias = LearningEvent | Mapping[str, Any]
MOST_EVENTS, MOST_BYTES = 1_000, 1_000_000


def parcels(events: Iterable[Event]) -> Generator[list[dict[str, Any]], IngestResponse | MasteryError, IngestResponse]:
    """Yields as many events as a call may have, is told what became of them, and returns what became of all.

    An event without an id gets one, so that it counts once however often it is sent. Raises IngestInterrupted, which
    has what is left to be sent.
    """
    told = IngestResponse(accepted=0, refused=0, results=[])
    left = iter(events)
    parcel: list[dict[str, Any]] = []
    size = 0
    for event in chain(left, (None,)):
        named = None if event is None else with_id(event)
        length = 0 if named is None else len(msgspec.json.encode(named)) + 1
        if parcel and (named is None or len(parcel) == MOST_EVENTS or size + length > MOST_BYTES):
            came = yield parcel
            if isinstance(came, MasteryError):
                remaining = [*parcel, *(() if named is None else (named,)), *map(with_id, left)]
                message = f"{len(told.results)} events were sent, {len(remaining)} were not: {came}"
                interrupted = IngestInterrupted(message, answered=told, remaining=remaining)
                interrupted.status, interrupted.request_id = came.status, came.request_id
                raise interrupted from came
            told = IngestResponse(
                accepted=told.accepted + came.accepted,
                refused=told.refused + came.refused,
                results=told.results + came.results,
            )
            parcel, size = [], 0
        if named is not None:
            parcel.append(named)
            size += length
    return told


def with_id(event: Event) -> dict[str, Any]:
    """An event as it is sent, with an id."""
    sent: dict[str, Any] = msgspec.to_builtins(event)
    return sent if sent.get("event_id") else {**sent, "event_id": str(uuid4())}
