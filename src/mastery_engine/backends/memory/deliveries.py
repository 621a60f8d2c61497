"""Deliveries in memory."""

from collections.abc import Sequence

import msgspec

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.deliveries import Delivery, DeliveryState, place


class MemoryDeliveries:
    """See ``DeliveryQueue``."""

    def __init__(self) -> None:
        self._deliveries: dict[tuple[str, str], Delivery] = {}
        self._turns: dict[tuple[str, str], int] = {}  # the order within lanes
        self._queued = 0

    async def enqueue(self, deliveries: Sequence[Delivery]) -> int:
        new = 0
        for delivery in deliveries:
            name = (delivery.sink, delivery.delivery_id)
            if name not in self._deliveries:
                self._deliveries[name] = delivery
                self._to_the_end(name)
                new += 1
        return new

    async def lease(self, sink: str, now: Micros, until: Micros, limit: int) -> list[Delivery]:
        due = [one for one in self._heads(sink) if one.free_from <= now]
        first = sorted(due, key=lambda one: (one.free_from, one.lane))[:limit]
        leased = [msgspec.structs.replace(one, leased=until) for one in first]
        self._deliveries |= {(one.sink, one.delivery_id): one for one in leased}
        return leased

    async def settle(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            name = (delivery.sink, delivery.delivery_id)
            known = self._deliveries.get(name)
            if known is not None and known.leased == delivery.leased != 0:
                self._deliveries[name] = msgspec.structs.replace(delivery, leased=0)

    async def next_due(self, sink: str) -> Micros | None:
        return min((one.free_from for one in self._heads(sink)), default=None)

    async def find(self, sink: str, delivery_id: str) -> Delivery | None:
        return self._deliveries.get((sink, delivery_id))

    async def page(self, sink: str, state: DeliveryState | None, before: str, limit: int) -> list[Delivery]:
        listed = [one for one in self._deliveries.values() if one.sink == sink and state in (None, one.state)]
        return sorted((one for one in listed if not before or place(one) < before), key=place, reverse=True)[:limit]

    async def again(self, sink: str, delivery_id: str, now: Micros) -> bool:
        name = (sink, delivery_id)
        known = self._deliveries.get(name)
        if known is None:
            return False
        if known.state != "waiting":
            known = msgspec.structs.replace(known, state="waiting", attempts=0, ended=None)
            self._to_the_end(name)
        self._deliveries[name] = msgspec.structs.replace(known, due=now)
        return True

    async def remove_sink(self, sink: str) -> int:
        return self._drop([name for name in self._deliveries if name[0] == sink])

    async def of_student(self, key: StudentKey) -> list[Delivery]:
        return sorted(
            (one for one in self._deliveries.values() if one.student == key), key=lambda one: (place(one), one.sink)
        )

    async def erase(self, key: StudentKey) -> int:
        return self._drop([name for name, one in self._deliveries.items() if one.student == key])

    async def purge(self, before: Micros) -> int:
        ended = [name for name, one in self._deliveries.items() if one.ended is not None and one.ended < before]
        return self._drop(ended)

    def _to_the_end(self, name: tuple[str, str]) -> None:
        self._queued += 1
        self._turns[name] = self._queued

    def _heads(self, sink: str) -> list[Delivery]:
        """The first delivery that waits in each lane."""
        heads: dict[str, Delivery] = {}
        for name in sorted(self._deliveries, key=self._turns.__getitem__):
            one = self._deliveries[name]
            if one.sink == sink and one.state == "waiting":
                heads.setdefault(one.lane, one)
        return list(heads.values())

    def _drop(self, names: Sequence[tuple[str, str]]) -> int:
        for name in names:
            del self._deliveries[name], self._turns[name]
        return len(names)
