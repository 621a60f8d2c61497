"""What waits to be sent to others over HTTP: messages to webhooks, grades to gradebooks.

A sink is one receiver. Within a sink, deliveries of one lane (a student's) go out one after the other, in the order in
which they were queued: the next one is due once the one before was delivered or given up.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from mastery_engine.domain.moments import DAY, Micros
from mastery_engine.domain.student import StudentKey

ENDED_LIFE: Micros = 7 * DAY  # for so long it is seen what became of a delivery, and it can be sent again

DeliveryState: TypeAlias = Literal["waiting", "delivered", "failed"]


class Delivery(msgspec.Struct, frozen=True):
    """A message to a sink.

    ``due`` is when it may be tried next, ``tried`` when it was tried last; ``outcome`` is what came of that, in words
    without what the receiver sent. It waits until ``state`` says how it ended, at ``ended``. ``leased`` is until when
    somebody has it who sends it, 0 where nobody does.
    """

    sink: str
    delivery_id: str
    lane: str
    student: StudentKey
    queued: Micros
    due: Micros
    body: bytes
    state: DeliveryState = "waiting"
    attempts: int = 0
    tried: Micros | None = None
    outcome: str = ""
    ended: Micros | None = None
    leased: Micros = 0

    @property
    def free_from(self) -> Micros:
        """From when on it may be leased, where it is the first of its lane."""
        return max(self.due, self.leased)


class DeliveryQueue(Protocol):
    """Deliveries by sink and id. All calls raise Unavailable when the store is away."""

    async def enqueue(self, deliveries: Sequence[Delivery]) -> int:
        """Queue deliveries, each at the end of its lane; durable on return. Returns how many were new.

        One whose id the sink has, in any state, is passed over.
        """
        ...

    async def lease(self, sink: str, now: Micros, until: Micros, limit: int) -> list[Delivery]:
        """The first deliveries of lanes, if they are due; nobody else gets them before ``until``.

        Longest due first; what was leased before counts as due from the end of that lease on.
        """
        ...

    async def settle(self, deliveries: Sequence[Delivery]) -> None:
        """Write what came of leased deliveries, and end the leases; each that still waits is due at its ``due``.

        Those that are gone stay gone. What came of a lease that somebody else was given after its end is passed over,
        so ``leased`` must be as ``lease`` gave it.
        """
        ...

    async def next_due(self, sink: str) -> Micros | None:
        """When the next delivery of a sink may be leased; None where none waits."""
        ...

    async def find(self, sink: str, delivery_id: str) -> Delivery | None:
        """A delivery, as it stands."""
        ...

    async def page(self, sink: str, state: DeliveryState | None, before: str, limit: int) -> list[Delivery]:
        """The newest ``limit`` deliveries by when they were queued and id, in this state if one is given.

        ``before`` continues a listing: it is the ``place`` of the last one of the page before, or "".
        """
        ...

    async def again(self, sink: str, delivery_id: str, now: Micros) -> bool:
        """Have an ended delivery sent again, at once and under its id, with its attempts counted anew.

        It goes to the end of its lane, ``queued`` as it was. One that waits is due now, where nobody is sending it.
        False where it is not there.
        """
        ...

    async def remove_sink(self, sink: str) -> int:
        """Remove all deliveries of a sink; how many there were."""
        ...

    async def of_student(self, key: StudentKey) -> list[Delivery]:
        """The deliveries about a student, oldest first."""
        ...

    async def erase(self, key: StudentKey) -> int:
        """Remove the deliveries about a student; how many there were."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove what ended before a moment; how many there were. A store that lets it expire has none."""
        ...


def place(delivery: Delivery) -> str:
    """Where a delivery stands in a listing: texts in the order of time."""
    return f"{delivery.queued:020d} {delivery.delivery_id}"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Delivery).decode


def pack_delivery(delivery: Delivery) -> bytes:
    """A delivery as stores keep it. A later engine may add fields: they are passed over here."""
    return _encode(delivery)


def unpack_delivery(packed: bytes) -> Delivery:
    return _decode(packed)
