"""Who receives what is queued: for each kind of sink, which there are now, and how a delivery is sent."""

import asyncio
from collections.abc import Collection
from typing import Literal, Protocol

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.ports.deliveries import Delivery


class SendOutcome(msgspec.Struct, frozen=True):
    """What came of sending a delivery, in words without what the receiver sent.

    One that is to be sent ``again`` is so after a pause, which is ``wait`` at least: for all of the sink, since its
    receiver asked for it. ``never`` gives a delivery up at once.
    """

    result: Literal["delivered", "again", "never"]
    words: str
    wait: Micros = 0


class Receiver(Protocol):
    """The owner of a kind of sink. ``name`` stands in metrics."""

    name: str

    async def sinks(self, now: Micros) -> Collection[str]:
        """The sinks from which something may be sent now. Raises Unavailable when the store is away."""
        ...

    async def send(self, delivery: Delivery, now: Micros) -> SendOutcome:
        """Send a delivery of one of its sinks, within ``SENT_WITHIN_S``; may be called for many at once.

        Raises Unavailable when our own store is away: then it is tried again soon, and that is no attempt.
        """
        ...


SENT_WITHIN_S = 15.0


class Bell:
    """By which it is told in this process for which sinks something was queued, so that it is sent at once."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()
        self.sinks: set[str] = set()

    def ring(self, sinks: Collection[str]) -> None:
        """Something was queued for these sinks."""
        self.sinks.update(sinks)
        self.rung.set()
