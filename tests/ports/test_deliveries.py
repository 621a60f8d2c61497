"""What every backend promises of deliveries: a lane's order, one sender at a time, and what became of each."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any

import msgspec
import pytest

from mastery_engine.backends.memory.deliveries import MemoryDeliveries
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.deliveries import Delivery, DeliveryQueue, DeliveryState, place
from tests.support.samples import NOW
from tests.support.stores import ADA, BOB, clear, purge, stores_fixture

stores = stores_fixture()

SINK, OTHER = "webhook/default/größe 1", "grades/school}{/2"


def waiting(
    name: str, lane: str = "ada", sink: str = SINK, queued: Micros = NOW, student: StudentKey = ADA, **more: Any
) -> Delivery:
    return Delivery(
        sink, name, lane, student, queued, more.pop("due", queued), b"\x00\xff body of " + name.encode(), **more
    )


async def lease(
    queue: DeliveryQueue, now: Micros = NOW, sink: str = SINK, limit: int = 9, for_s: int = 60
) -> list[Delivery]:
    return await queue.lease(sink, now, now + for_s * SECOND, limit)


async def settle(queue: DeliveryQueue, delivery: Delivery, state: DeliveryState = "delivered", **more: Any) -> None:
    tried = {"attempts": delivery.attempts + 1, "tried": NOW, "outcome": "answered 200"}
    if state != "waiting":
        tried["ended"] = NOW
    await queue.settle([msgspec.structs.replace(delivery, state=state, **{**tried, **more})])


def ids(deliveries: list[Delivery]) -> list[str]:
    return [one.delivery_id for one in deliveries]


async def test_a_lane_goes_out_one_after_the_other_in_the_order_of_queueing(stores: Stores) -> None:
    queue = stores.deliveries
    queued = [waiting(name) for name in ("c", "a", "größe", "b")]
    assert await queue.enqueue(queued[:2]) == 2
    assert await queue.enqueue([*queued[2:], waiting("x", "bob")]) == 3
    sent: list[str] = []
    while leased := await lease(queue):
        assert await lease(queue) == []  # nobody else gets one, nor the one behind it
        assert [one.leased for one in leased] == [NOW + 60 * SECOND] * len(leased)
        for one in leased:
            await settle(queue, one)
        sent += ids([one for one in leased if one.lane == "ada"])
    assert sent == ["c", "a", "größe", "b"]
    assert await queue.next_due(SINK) is None
    found = await queue.find(SINK, "größe")
    tried = {"attempts": 1, "tried": NOW, "outcome": "answered 200", "ended": NOW}
    assert found == msgspec.structs.replace(queued[2], state="delivered", **tried)
    assert await queue.find(SINK, "none") is None
    assert await queue.find(OTHER, "größe") is None


async def test_one_that_failed_is_tried_when_it_is_due_and_holds_its_lane_up(stores: Stores) -> None:
    queue = stores.deliveries
    await queue.enqueue([waiting("1"), waiting("2"), waiting("3", "bob", due=NOW + 1)])
    (first,) = await lease(queue)
    assert await queue.next_due(SINK) == NOW + 1
    await settle(queue, first, "waiting", due=NOW + MINUTE)
    assert ids(await lease(queue, NOW + 1)) == ["3"]
    assert await queue.next_due(SINK) == NOW + MINUTE
    assert await lease(queue, NOW + MINUTE - 1) == []
    (again,) = await lease(queue, NOW + MINUTE)
    assert (again.delivery_id, again.attempts, again.due) == ("1", 1, NOW + MINUTE)
    await settle(queue, again, "failed")
    assert "2" in ids(await lease(queue, NOW + MINUTE))


async def test_a_lease_that_ends_is_given_to_another_and_what_comes_of_it_later_is_passed_over(stores: Stores) -> None:
    queue = stores.deliveries
    await queue.enqueue([waiting("1"), waiting("2")])
    (lost,) = await lease(queue, for_s=10)
    assert await queue.next_due(SINK) == NOW + 10 * SECOND
    assert await lease(queue, NOW + 10 * SECOND - 1) == []
    (taken,) = await lease(queue, NOW + 10 * SECOND)
    assert (taken.delivery_id, taken.attempts) == ("1", 0)
    await settle(queue, lost, "failed")
    assert await queue.find(SINK, "1") == taken
    assert await lease(queue, NOW + 10 * SECOND) == []
    await settle(queue, taken)
    await settle(queue, taken, "waiting")
    found = await queue.find(SINK, "1")
    assert found is not None
    assert found.state == "delivered"
    assert ids(await lease(queue, NOW + 10 * SECOND)) == ["2"]


async def test_who_waits_longest_goes_first_and_as_many_as_are_asked_for(stores: Stores) -> None:
    queue = stores.deliveries
    await queue.enqueue([waiting(f"{number}", f"lane-{number}", due=NOW - number % 4) for number in range(8)])
    assert ids(await lease(queue, limit=3)) == ["3", "7", "2"]
    assert ids(await lease(queue, limit=9)) == ["6", "1", "5", "0", "4"]
    assert await lease(queue, sink=OTHER) == []


async def test_what_is_queued_twice_is_sent_once(stores: Stores) -> None:
    queue = stores.deliveries
    assert await queue.enqueue([]) == 0
    assert await queue.enqueue([waiting("1"), waiting("1", "bob"), waiting("1", sink=OTHER)]) == 2
    other = msgspec.structs.replace(waiting("1", "bob"), body=b"another")
    assert await queue.enqueue([other, waiting("2")]) == 1
    (one,) = await lease(queue)
    assert one == waiting("1", leased=NOW + 60 * SECOND)
    assert await queue.enqueue([waiting("1")]) == 0
    await settle(queue, one)
    assert await queue.enqueue([waiting("1")]) == 0
    assert ids(await lease(queue)) == ["2"]
    tried = [queue.enqueue([waiting(f"both-{number}") for number in range(5)]) for _ in range(6)]
    assert sum(await asyncio.gather(*tried)) == 5


async def test_of_two_processes_one_gets_each(stores: Stores) -> None:
    """Both send all there is, lane by lane: each is given once, in its lane's order, whoever comes first."""
    queue = stores.deliveries
    await queue.enqueue([waiting(f"{lane}-{turn}", f"{lane}") for turn in range(4) for lane in range(6)])
    given: list[str] = []

    async def send() -> None:
        while leased := await lease(queue, limit=2):
            given.extend(ids(leased))
            await asyncio.sleep(0)
            for one in leased:
                await settle(queue, one)

    await asyncio.gather(*[send() for _ in range(4)])
    await send()  # what was looked at while another had it
    assert len(given) == len(set(given)) == 24
    for lane in range(6):
        assert [name for name in given if name.startswith(f"{lane}-")] == [f"{lane}-{turn}" for turn in range(4)]


async def test_the_newest_are_listed_first_in_pages_and_by_state(stores: Stores) -> None:
    queue = stores.deliveries
    all_of_them = [waiting(f"{number:02}", f"lane-{number}", queued=NOW + number // 3) for number in range(10)]
    await queue.enqueue([*all_of_them, waiting("other", sink=OTHER)])
    for one in await lease(queue, NOW + 9):
        if one.delivery_id < "04":
            await settle(queue, one, "failed" if one.delivery_id == "00" else "delivered")
    listed: list[Delivery] = []
    while page := await queue.page(SINK, None, place(listed[-1]) if listed else "", 3):
        listed += page
    assert ids(listed) == [f"{number:02}" for number in reversed(range(10))]
    assert ids(await queue.page(SINK, "delivered", "", 2)) == ["03", "02"]
    assert ids(await queue.page(SINK, "delivered", place(all_of_them[2]), 2)) == ["01"]
    assert ids(await queue.page(SINK, "failed", "", 9)) == ["00"]
    assert ids(await queue.page(SINK, "waiting", "", 3)) == ["09", "08", "07"]
    assert await queue.page("webhook/none", None, "", 3) == []


async def test_one_that_ended_is_sent_again_after_those_that_wait(stores: Stores) -> None:
    queue = stores.deliveries
    await queue.enqueue([waiting("1"), waiting("2")])
    assert not await queue.again(SINK, "none", NOW)
    (one,) = await lease(queue)
    await settle(queue, one, "failed")
    await queue.enqueue([waiting("3")])
    assert await queue.again(SINK, "1", NOW + 5)
    found = await queue.find(SINK, "1")
    assert found == waiting("1", due=NOW + 5, tried=NOW, outcome="answered 200")
    assert ids(await queue.page(SINK, "waiting", "", 9)) == ["3", "2", "1"]
    assert await queue.page(SINK, "failed", "", 9) == []
    sent: list[str] = []
    while leased := await lease(queue, NOW + 5):
        sent += ids(leased)
        await settle(queue, leased[0])
    assert sent == ["2", "3", "1"]
    assert await queue.purge(NOW + 1) == 3


async def test_one_that_waits_for_its_next_attempt_is_due_now(stores: Stores) -> None:
    queue = stores.deliveries
    await queue.enqueue([waiting("1"), waiting("2")])
    (one,) = await lease(queue)
    assert await queue.again(SINK, "1", NOW)
    assert await lease(queue) == []  # somebody sends it
    await settle(queue, one, "waiting", due=NOW + DAY)
    assert await queue.again(SINK, "1", NOW + 3)
    (again,) = await lease(queue, NOW + 3)
    assert (again.delivery_id, again.attempts, again.due) == ("1", 1, NOW + 3)


async def test_a_sink_that_is_removed_takes_its_own_along(stores: Stores) -> None:
    queue = stores.deliveries
    await queue.enqueue([waiting(f"{number}", f"{number % 3}") for number in range(9)])
    await queue.enqueue([waiting("1", sink=OTHER)])
    leased = await lease(queue)
    await settle(queue, leased[0])
    assert await queue.remove_sink(SINK) == 9
    assert await queue.remove_sink(SINK) == 0
    await settle(queue, leased[1], "waiting")
    assert await queue.find(SINK, leased[1].delivery_id) is None
    assert (await queue.next_due(SINK), await lease(queue), await queue.page(SINK, None, "", 9)) == (None, [], [])
    assert ids(await queue.of_student(ADA)) == ["1"]
    assert await queue.enqueue([waiting("1")]) == 1
    assert ids(await lease(queue)) == ["1"]


async def test_what_is_about_a_student_is_exported_and_goes_with_them(stores: Stores) -> None:
    queue = stores.deliveries
    namesake = StudentKey("school", "ada")
    await queue.enqueue([waiting("1", "both"), waiting("2", "both", student=BOB), waiting("3", queued=NOW - 1)])
    await queue.enqueue([waiting("4", sink=OTHER), waiting("5", sink=OTHER, student=namesake)])
    leased = {one.delivery_id: one for one in await lease(queue)}
    await settle(queue, leased["3"])
    assert [(one.sink, one.delivery_id, one.state) for one in await queue.of_student(ADA)] == [
        (SINK, "3", "delivered"),
        (SINK, "1", "waiting"),
        (OTHER, "4", "waiting"),
    ]
    assert await queue.erase(ADA) == 3
    assert await queue.erase(ADA) == 0
    await settle(queue, leased["1"])  # it comes too late
    assert await queue.of_student(ADA) == []
    assert await queue.find(SINK, "1") is None
    assert ids(await lease(queue)) == ["2"]
    assert ids(await lease(queue, sink=OTHER)) == ["5"]
    assert ids(await queue.page(SINK, None, "", 9)) == ["2"]
    assert ids(await queue.of_student(namesake)) == ["5"]


async def test_a_purge_takes_what_ended_before_and_nothing_that_waits(stores: Stores) -> None:
    queue = stores.deliveries
    await queue.enqueue([waiting(f"{number}", f"{number}") for number in range(4)])
    for one in (await lease(queue))[:3]:
        await settle(queue, one, ended=NOW + int(one.delivery_id))
    assert await queue.purge(NOW) == 0
    assert await queue.purge(NOW + 2) == 2
    await purge(stores, NOW + 99 * DAY)
    await clear(stores)
    assert ids(await queue.page(SINK, None, "", 9)) == ["3", "2"]
    assert ids(await queue.of_student(ADA)) == ["2", "3"]
    await queue.purge(NOW + DAY)
    assert ids(await queue.page(SINK, None, "", 9)) == ["3"]
    await queue.remove_sink(SINK)
    await queue.purge(NOW + DAY)
    assert await queue.enqueue([waiting("3")]) == 1
    assert ids(await queue.of_student(ADA)) == ["3"]


class RandomCalls:
    """Calls of a few sinks, lanes and students by chance, and time that goes on; the same for all who are asked."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._now = NOW
        self._held: list[Delivery] = []

    def pass_time(self) -> None:
        self._now += self._chance.choice([0, 1, 3])

    def draw(self) -> Callable[[DeliveryQueue], Awaitable[Any]]:
        chance, now = self._chance, self._now
        sink, name, student = chance.choice([SINK, OTHER]), f"{chance.randint(0, 15)}", chance.choice([ADA, BOB])
        calls: list[tuple[int, Callable[[DeliveryQueue], Awaitable[Any]]]] = [
            (30, partial(_enqueue, deliveries=self._new())),
            (30, lambda queue: queue.lease(sink, now, now + 5, 2)),
            (30, partial(_settle, deliveries=self._settled())),
            (10, lambda queue: queue.again(sink, name, now)),
            (10, lambda queue: queue.page(sink, None if name < "5" else "delivered", "", 4)),
            (10, lambda queue: queue.find(sink, name)),
            (10, lambda queue: queue.of_student(student)),
            (20, lambda queue: queue.next_due(sink)),
            (2, lambda queue: queue.erase(student)),
            (1, lambda queue: queue.remove_sink(sink)),
            (4, lambda queue: queue.purge(now - 5)),
        ]
        ((_, call),) = chance.choices(calls, [weight for weight, _ in calls])
        return call

    def hold(self, answer: Any) -> None:
        """Note what was leased, to be settled some time."""
        leased = answer if isinstance(answer, list) else []
        self._held += [one for one in leased if one.leased == self._now + 5]

    def _new(self) -> list[Delivery]:
        chance = self._chance
        return [
            waiting(
                f"{chance.randint(0, 15)}",
                chance.choice("ab"),
                chance.choice([SINK, OTHER]),
                self._now,
                chance.choice([ADA, BOB]),
                due=self._now + chance.randint(-2, 2),
            )
            for _ in range(chance.randint(1, 3))
        ]

    def _settled(self) -> list[Delivery]:
        if not self._held:
            return []
        one = self._held[self._chance.randrange(len(self._held))]
        state: DeliveryState = self._chance.choice(["waiting", "delivered", "failed"])
        ended = None if state == "waiting" else self._now
        return [msgspec.structs.replace(one, state=state, ended=ended, due=self._now + 2, attempts=one.attempts + 1)]


async def _enqueue(queue: DeliveryQueue, deliveries: list[Delivery]) -> int:
    return await queue.enqueue(deliveries)


async def _settle(queue: DeliveryQueue, deliveries: list[Delivery]) -> None:
    await queue.settle(deliveries)


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_is_done_it_is_as_in_memory(stores: Stores, seed: int) -> None:
    calls, twin = RandomCalls(seed), MemoryDeliveries()
    for number in range(200):
        call = calls.draw()
        answer = await call(stores.deliveries)
        assert answer == await call(twin), number
        calls.hold(answer)
        calls.pass_time()
