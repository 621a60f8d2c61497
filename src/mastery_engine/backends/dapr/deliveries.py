"""Deliveries in Dapr's state: a value for each, the order of each lane that waits, and what there is of a sink.

Several values cannot be written at once. A delivery's own value says whether it waits, when it is due and who has it;
its lane says only after whom it comes. So a lane may name one that has ended: whoever leases takes it out. One that
waits and that no lane names (a crash came between) is put into its lane by whoever queues it again.
"""

import asyncio
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from mastery_engine.backends.dapr import keys
from mastery_engine.backends.dapr.client import DaprState, Fold, Replacement, Value
from mastery_engine.backends.dapr.index import TOMBSTONE_S, DaprIndex, listed, pair_from, words_from
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.deliveries import Delivery, DeliveryState, pack_delivery, place, unpack_delivery

SHARDS = 16
AT_ONCE = 32
PAGE = 200
ENDED_S = 30 * 24 * 3_600  # longer than the purge leaves one that ended
PLACE_START = 21  # characters of the moment in a place, and of the space after it
GONE = ""


class _Turn(msgspec.Struct, frozen=True):
    """A place in a lane. Who comes back to a lane has another number, so that nobody takes them for who was there."""

    delivery_id: str
    number: int


class _Lane(msgspec.Struct, frozen=True):
    """Who waits, first to last; ``given`` is the last number that was given."""

    turns: tuple[_Turn, ...] = ()
    given: int = 0

    def with_last(self, delivery_ids: Sequence[str]) -> "_Lane":
        """With those at the end that are not in it."""
        known = {turn.delivery_id for turn in self.turns}
        new = [name for name in dict.fromkeys(delivery_ids) if name not in known]
        added = [_Turn(name, self.given + number) for number, name in enumerate(new, 1)]
        return _Lane((*self.turns, *added), self.given + len(new))

    def without(self, is_out: Callable[[_Turn], bool]) -> "_Lane":
        return _Lane(tuple(turn for turn in self.turns if not is_out(turn)), self.given)


class _FirstOfLane(msgspec.Struct, frozen=True):
    """The first delivery that waits in a lane."""

    lane: str
    turn: _Turn
    delivery: Delivery


class DaprDeliveries:
    """See ``DeliveryQueue``."""

    def __init__(self, state: DaprState) -> None:
        self._state = state
        self._sinks = DaprIndex(state, "delivery-sinks")

    async def enqueue(self, deliveries: Sequence[Delivery]) -> int:
        """The lists before the deliveries, and those before their lanes.

        So what is queued again under its id may be listed at another moment or student, where it is not to be found.
        """
        if not deliveries:
            return 0
        first = list({(one.sink, one.delivery_id): one for one in reversed(deliveries)}.values())[::-1]
        await self._list(first)
        new = 0
        lanes: dict[tuple[str, str], list[str]] = defaultdict(list)
        for start in range(0, len(first), AT_ONCE):
            page = first[start : start + AT_ONCE]
            for is_new, stored in await asyncio.gather(*[self._put(one) for one in page]):
                new += is_new
                if stored.state == "waiting":
                    lanes[stored.sink, stored.lane].append(stored.delivery_id)
        await self._append(lanes)
        await self._sinks.add({one.sink for one in first})  # a purge may have found it empty meanwhile
        return new

    async def _list(self, deliveries: Sequence[Delivery]) -> None:
        await self._sinks.add({one.sink for one in deliveries})
        by_sink: dict[str, list[str]] = defaultdict(list)
        by_student: dict[StudentKey, list[str]] = defaultdict(list)
        for one in deliveries:
            by_sink[one.sink].append(_name(one))
            by_student[one.student].append(listed(one.sink, one.delivery_id))
        for sink, names in by_sink.items():
            await self._listed(sink).add(names)
        for student, names in by_student.items():
            await self._of(student).add(names)

    async def _put(self, one: Delivery) -> tuple[bool, Delivery]:
        """Whether it is new, and what there is under its id."""
        found = one
        is_new = False

        def fold(stored: Any) -> Replacement | None:
            nonlocal found, is_new
            known = _delivery_in(stored)
            is_new, found = known is None, known or one
            return _replacement(one) if known is None else None

        await self._state.fold({keys.delivery(one.sink, one.delivery_id): fold})
        return is_new, found

    async def _append(self, lanes: Mapping[tuple[str, str], Sequence[str]]) -> None:
        by_sink: dict[str, list[str]] = defaultdict(list)
        for sink, lane in lanes:
            by_sink[sink].append(lane)
        for sink, names in by_sink.items():
            await self._lanes(sink).add(names)
        await self._state.fold({keys.delivery_lane(*name): _appending(ids) for name, ids in lanes.items()})
        for sink, names in by_sink.items():
            await self._lanes(sink).add(names)  # whoever leases may have found one empty meanwhile

    async def lease(self, sink: str, now: Micros, until: Micros, limit: int) -> list[Delivery]:
        due = [head for head in await self._heads(sink) if head.delivery.free_from <= now]
        due.sort(key=lambda head: (head.delivery.free_from, head.lane))
        leased: list[Delivery] = []
        while due and len(leased) < limit:
            tried, due = due[: limit - len(leased)], due[limit - len(leased) :]
            won = await asyncio.gather(*[self._lease(head, now, until) for head in tried])
            leased += [one for one in won if one is not None]
        return leased

    async def _lease(self, head: _FirstOfLane, now: Micros, until: Micros) -> Delivery | None:
        sink, delivery_id = head.delivery.sink, head.delivery.delivery_id
        won: Delivery | None = None

        def fold(stored: Any) -> Replacement | None:
            nonlocal won
            known = _delivery_in(stored)
            if known is None or known.state != "waiting" or known.free_from > now:
                won = None
                return None
            won = msgspec.structs.replace(known, leased=until)
            return _replacement(won)

        await self._state.fold({keys.delivery(sink, delivery_id): fold})
        if won is None:
            return None
        (lane,) = await self._state.read([keys.delivery_lane(sink, head.lane)])
        if _lane(lane).turns[:1] == (head.turn,):
            return won
        await self.settle([won])  # it went to the end of its lane meanwhile: whoever is the first there goes before it
        return None

    async def settle(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            is_settled = False

            def fold(stored: Any, delivery: Delivery = delivery) -> Replacement | None:
                nonlocal is_settled
                known = _delivery_in(stored)
                settled = msgspec.structs.replace(delivery, leased=0)
                is_settled = known == settled or (known is not None and known.leased == delivery.leased != 0)
                return _replacement(settled) if is_settled and known != settled else None

            await self._state.fold({keys.delivery(delivery.sink, delivery.delivery_id): fold})
            if is_settled and delivery.state != "waiting":
                await self._leave(delivery)

    async def next_due(self, sink: str) -> Micros | None:
        return min((head.delivery.free_from for head in await self._heads(sink)), default=None)

    async def find(self, sink: str, delivery_id: str) -> Delivery | None:
        (found,) = await self._read([(sink, delivery_id)])
        return found

    async def page(self, sink: str, state: DeliveryState | None, before: str, limit: int) -> list[Delivery]:
        places = sorted({words_from(name)[0] for name in await self._listed(sink).members()}, reverse=True)
        wanted = [name for name in places if not before or name < before]
        found: list[Delivery] = []
        for start in range(0, len(wanted), PAGE):
            page = await self._read([(sink, name[PLACE_START:]) for name in wanted[start : start + PAGE]])
            shown = zip(page, wanted[start : start + PAGE], strict=True)
            found += [
                one for one, name in shown if one is not None and place(one) == name and state in (None, one.state)
            ]
            if len(found) >= limit:
                break
        return found[:limit]

    async def again(self, sink: str, delivery_id: str, now: Micros) -> bool:
        """It leaves its lane before it waits again: else it could go before those that came after it."""
        known = await self.find(sink, delivery_id)
        if known is None:
            return False
        if known.state != "waiting":
            await self._leave(known)
        is_there = False

        def fold(stored: Any) -> Replacement | None:
            nonlocal is_there
            one = _delivery_in(stored)
            is_there = one is not None
            if one is None:
                return None
            if one.state != "waiting":
                one = msgspec.structs.replace(one, state="waiting", attempts=0, ended=None)
            return _replacement(msgspec.structs.replace(one, due=now))

        await self._state.fold({keys.delivery(sink, delivery_id): fold})
        if is_there:
            await self._append({(sink, known.lane): [delivery_id]})
        return is_there

    async def remove_sink(self, sink: str) -> int:
        names = await self._listed(sink).members()
        found = await self._read([(sink, _id_in(name)) for name in sorted(names)])
        removed = await self._remove([one for one in found if one is not None])
        await self._listed(sink).discard(names)
        return removed

    async def of_student(self, key: StudentKey) -> list[Delivery]:
        found = await self._read([pair_from(name) for name in await self._of(key).members()])
        own = [one for one in found if one is not None and one.student == key]
        return sorted(own, key=lambda one: (place(one), one.sink))

    async def erase(self, key: StudentKey) -> int:
        names = await self._of(key).members()
        removed = await self._remove(await self.of_student(key))
        await self._of(key).discard(names)
        return removed

    async def purge(self, before: Micros) -> int:
        removed = 0
        for sink in sorted(await self._sinks.members()):
            index = self._listed(sink)
            async for names in index.pages():
                found = await self._read([(sink, _id_in(name)) for name in names])
                old = [one for one in found if one is not None and one.ended is not None and one.ended < before]
                removed += await self._remove(old)
                pairs = zip(names, found, strict=True)
                await self._unlist(sink, [name for name, one in pairs if one is None or _name(one) != name])
            await self._sinks.discard_gone([] if await index.members() else [sink], self._in_use)
        return removed

    async def _remove(self, deliveries: Sequence[Delivery]) -> int:
        """The deliveries before the lists of them, for a crash between."""
        removed: set[tuple[str, str]] = set()

        def fold(stored: Any) -> Replacement | None:
            known = _delivery_in(stored)
            if known is None:
                return None
            removed.add((known.sink, known.delivery_id))
            return Replacement(GONE, TOMBSTONE_S)

        by_sink: dict[str, list[str]] = defaultdict(list)
        for start in range(0, len(deliveries), PAGE):
            page = deliveries[start : start + PAGE]
            await self._state.fold({keys.delivery(one.sink, one.delivery_id): fold for one in page})
        by_lane: dict[str, set[str]] = defaultdict(set)
        for one in deliveries:
            by_lane[keys.delivery_lane(one.sink, one.lane)].add(one.delivery_id)
            by_sink[one.sink].append(_name(one))
        await self._state.fold({name: _leaving_lane(ids) for name, ids in by_lane.items()})
        for sink, names in by_sink.items():
            await self._unlist(sink, names)
        return len(removed)

    async def _unlist(self, sink: str, names: Sequence[str]) -> None:
        """Take out of the lists of a sink and of the students what leads nowhere."""
        by_student: dict[StudentKey, list[str]] = defaultdict(list)
        for name in names:
            _, tenant, student_id = words_from(name)
            by_student[StudentKey(tenant, student_id)].append(listed(sink, _id_in(name)))
        for student, own in by_student.items():
            await self._of(student).discard_gone(own, partial(self._leading, student))

        async def leading(some: Sequence[str]) -> list[str]:
            found = await self._read([(sink, _id_in(name)) for name in some])
            return [name for name, one in zip(some, found, strict=True) if one is not None and _name(one) == name]

        await self._listed(sink).discard_gone(names, leading)

    async def _leading(self, key: StudentKey, names: Sequence[str]) -> list[str]:
        """Which names in the list of a student lead to a delivery about them."""
        found = await self._read([pair_from(name) for name in names])
        return [name for name, one in zip(names, found, strict=True) if one is not None and one.student == key]

    async def _in_use(self, sinks: Sequence[str]) -> list[str]:
        return [sink for sink in sinks if await self._listed(sink).members()]

    async def _leave(self, delivery: Delivery) -> None:
        name = keys.delivery_lane(delivery.sink, delivery.lane)
        await self._state.fold({name: _leaving_lane({delivery.delivery_id})})

    async def _heads(self, sink: str) -> list[_FirstOfLane]:
        """The first delivery that waits in each lane; lanes in which none does are taken out of the list."""
        names = sorted(await self._lanes(sink).members())
        lanes = await self._read_lanes(sink, names)
        heads: list[_FirstOfLane] = []
        empty = [name for name in names if not lanes[name].turns]
        looked_at = {name: lane.turns for name, lane in lanes.items() if lane.turns}
        ended: dict[str, set[_Turn]] = defaultdict(set)
        while looked_at:
            firsts = await self._read([(sink, turns[0].delivery_id) for turns in looked_at.values()])
            following: dict[str, tuple[_Turn, ...]] = {}
            for (name, turns), first in zip(looked_at.items(), firsts, strict=True):
                if first is not None and first.state == "waiting":
                    heads.append(_FirstOfLane(name, turns[0], first))
                else:
                    ended[name].add(turns[0])
                    if len(turns) > 1:
                        following[name] = turns[1:]
            looked_at = following
        await self._state.fold({keys.delivery_lane(sink, name): _without_turns(out) for name, out in ended.items()})
        await self._lanes(sink).discard_gone(empty, lambda some: self._with_turns(sink, some))
        return heads

    async def _with_turns(self, sink: str, names: Sequence[str]) -> list[str]:
        """Which lanes have anybody in them."""
        return [name for name, lane in (await self._read_lanes(sink, names)).items() if lane.turns]

    async def _read_lanes(self, sink: str, names: Sequence[str]) -> dict[str, _Lane]:
        values = await self._state.read([keys.delivery_lane(sink, name) for name in names])
        return {name: _lane(value) for name, value in zip(names, values, strict=True)}

    async def _read(self, names: Sequence[tuple[str, str]]) -> list[Delivery | None]:
        values = await self._state.read([keys.delivery(*name) for name in names])
        return [None if value is None else _delivery_in(value.data) for value in values]

    def _listed(self, sink: str) -> DaprIndex:
        return DaprIndex(self._state, f"deliveries:{keys.spelled(sink)}", shards=SHARDS)

    def _lanes(self, sink: str) -> DaprIndex:
        return DaprIndex(self._state, f"delivery-lanes:{keys.spelled(sink)}", shards=SHARDS)

    def _of(self, key: StudentKey) -> DaprIndex:
        return DaprIndex(self._state, f"deliveries-of:{key.tenant}:{key.student_id}")


def _name(one: Delivery) -> str:
    """A delivery in the list of its sink; with its student, whose list names it too."""
    return listed(place(one), *one.student)


def _id_in(name: str) -> str:
    return words_from(name)[0][PLACE_START:]


def _delivery_in(stored: Any) -> Delivery | None:
    """The delivery that a key holds; None for a tombstone too, so that a late writer loses."""
    return unpack_delivery(b64decode(stored)) if stored else None


def _replacement(one: Delivery) -> Replacement:
    return Replacement(b64encode(pack_delivery(one)).decode(), None if one.ended is None else ENDED_S)


def _lane(value: Value | None) -> _Lane:
    return _lane_in(None if value is None else value.data)


def _lane_in(stored: Any) -> _Lane:
    return _Lane() if stored is None else msgspec.convert(stored, _Lane)


def _folding(change: Callable[[_Lane], _Lane]) -> Fold:
    def fold(stored: Any) -> Replacement | None:
        before = _lane_in(stored)
        after = change(before)
        return None if after == before else Replacement(after, None if after.turns else TOMBSTONE_S)

    return fold


def _appending(delivery_ids: Sequence[str]) -> Fold:
    return _folding(lambda lane: lane.with_last(delivery_ids))


def _leaving_lane(delivery_ids: Collection[str]) -> Fold:
    return _folding(lambda lane: lane.without(lambda turn: turn.delivery_id in delivery_ids))


def _without_turns(turns: Collection[_Turn]) -> Fold:
    return _folding(lambda lane: lane.without(lambda turn: turn in turns))
