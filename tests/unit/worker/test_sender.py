"""The sender: order within a student, pauses, leases among workers, and receivers that hold up nobody."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial

import pytest

from mastery_engine.backends.memory.deliveries import MemoryDeliveries
from mastery_engine.domain.moments import DAY, MINUTE, SECOND, Micros
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.deliveries import Delivery
from mastery_engine.services.receivers import Bell, SendOutcome
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.worker import sender
from mastery_engine.worker.sender import AILING_AFTER, AT_ONCE, AT_ONCE_OF_SINK, LEASE, DeliverySender
from tests.support.samples import NOW, Clock

DELIVERED, AGAIN = SendOutcome("delivered", "answered 200"), SendOutcome("again", "answered 500")
Answer = Callable[[Delivery], Awaitable[SendOutcome]]


class Receivers:
    """Sinks that answer as the test says; ``sent`` are the ids that came, in their order."""

    name = "webhook"

    def __init__(self, answer: Answer, *sinks: str) -> None:
        self.answer = answer
        self.there = list(sinks or ("sink",))
        self.sent: list[str] = []
        self.looks = 0

    async def sinks(self, now: Micros) -> Collection[str]:
        self.looks += 1
        return self.there

    async def send(self, delivery: Delivery, now: Micros) -> SendOutcome:
        self.sent.append(delivery.delivery_id)
        return await self.answer(delivery)


async def takes(_: Delivery) -> SendOutcome:
    return DELIVERED


async def fails(_: Delivery) -> SendOutcome:
    return AGAIN


async def hangs(_: Delivery) -> SendOutcome:
    await asyncio.sleep(3_600)
    return AGAIN


def delivery(delivery_id: str, student_id: str = "ada", sink: str = "sink", at: Micros = NOW) -> Delivery:
    return Delivery(sink, delivery_id, student_id, StudentKey("default", student_id), at, at, b"{}")


class Bench:
    """A queue, its sender, and a clock of the test's."""

    def __init__(self, receivers: Receivers, queue: MemoryDeliveries | None = None, clock: Clock | None = None) -> None:
        self.queue = queue or MemoryDeliveries()
        self.clock = clock or Clock()
        self.receivers = receivers
        self.metrics = Metrics()
        self.bell = Bell()
        self.sender = DeliverySender(self.queue, [receivers], self.bell, self.clock, lambda: 0.5, self.metrics)

    async def look(self) -> None:
        """One look, and all work that it begins."""
        await self.sender.look()
        while self.sender._tasks:
            await asyncio.wait(self.sender._tasks.values())
            await asyncio.sleep(0)

    async def after(self, pause: Micros) -> None:
        self.clock.tick(pause)
        await self.look()

    async def one(self, delivery_id: str, sink: str = "sink") -> Delivery:
        found = await self.queue.find(sink, delivery_id)
        assert found is not None
        return found

    def counted(self, outcome: str) -> float:
        return (
            self.metrics.registry.get_sample_value(
                "mastery_deliveries_total", {"receiver": "webhook", "outcome": outcome}
            )
            or 0.0
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.sender.keep_running())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def test_what_is_queued_is_sent_once_in_the_order_of_each_student() -> None:
    bench = Bench(Receivers(takes))
    queued = [delivery(f"{student}-{number}", student) for number in range(5) for student in ("ada", "bob", "cy")]
    await bench.queue.enqueue(queued)
    await bench.look()
    assert sorted(bench.receivers.sent) == sorted(one.delivery_id for one in queued)
    for student in ("ada", "bob", "cy"):
        assert [one for one in bench.receivers.sent if one.startswith(student)] == [f"{student}-{n}" for n in range(5)]
    ended = await bench.one("ada-4")
    assert (ended.state, ended.attempts, ended.outcome, ended.ended) == ("delivered", 1, "answered 200", NOW)
    assert bench.counted("delivered") == 15
    await bench.after(DAY)
    assert len(bench.receivers.sent) == 15


async def test_a_failure_is_tried_again_within_ten_seconds_and_holds_only_its_student() -> None:
    async def answer(one: Delivery) -> SendOutcome:
        return AGAIN if one.delivery_id == "ada-1" and one.attempts < 2 else DELIVERED

    bench = Bench(Receivers(answer))
    await bench.queue.enqueue([delivery("ada-1"), delivery("ada-2"), delivery("bob-1", "bob")])
    await bench.look()
    assert bench.receivers.sent == ["ada-1", "bob-1"]
    waiting = await bench.one("ada-1")
    assert (waiting.state, waiting.attempts, waiting.outcome, waiting.tried) == ("waiting", 1, "answered 500", NOW)
    assert NOW < waiting.due < NOW + 10 * SECOND
    await bench.after(10 * SECOND)
    assert bench.receivers.sent == ["ada-1", "bob-1", "ada-1"]
    await bench.after(20 * SECOND)
    assert bench.receivers.sent == ["ada-1", "bob-1", "ada-1", "ada-1", "ada-2"]
    assert (bench.counted("retried"), bench.counted("delivered"), bench.counted("failed")) == (2, 3, 0)


async def test_after_a_day_it_has_failed_and_the_next_of_its_student_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "AILING_PAUSE_S", 0.0)

    async def answer(one: Delivery) -> SendOutcome:
        return AGAIN if one.delivery_id == "ada-1" else DELIVERED

    bench = Bench(Receivers(answer))
    await bench.queue.enqueue([delivery("ada-1"), delivery("ada-2")])
    while bench.clock.now < NOW + DAY:
        due = await bench.queue.next_due("sink")
        assert due is not None
        bench.clock.now = max(bench.clock.now, due)
        assert "ada-2" not in bench.receivers.sent
        await bench.look()
    failed = await bench.one("ada-1")
    assert (failed.state, failed.ended) == ("failed", NOW + DAY)
    assert failed.attempts == bench.receivers.sent.count("ada-1") > 20
    assert (await bench.one("ada-2")).state == "delivered"
    assert "given up: answered 500" in caplog.text


async def test_what_failed_is_sent_again_when_somebody_asks() -> None:
    outcomes = [SendOutcome("never", "answered 410"), DELIVERED]

    async def answer(_: Delivery) -> SendOutcome:
        return outcomes.pop(0)

    bench = Bench(Receivers(answer))
    await bench.queue.enqueue([delivery("ada-1")])
    await bench.look()
    assert ((await bench.one("ada-1")).state, bench.counted("failed")) == ("failed", 1)
    assert await bench.queue.again("sink", "ada-1", bench.clock.now)
    await bench.look()
    assert (await bench.one("ada-1")).state == "delivered"
    assert bench.receivers.sent == ["ada-1", "ada-1"]


async def test_a_receiver_that_asks_for_a_pause_gets_it_for_all_students() -> None:
    outcomes = [SendOutcome("again", "answered 429", 5 * MINUTE)]

    async def answer(_: Delivery) -> SendOutcome:
        return outcomes.pop() if outcomes else DELIVERED

    bench = Bench(Receivers(answer))
    await bench.queue.enqueue([delivery("ada-1")])
    await bench.look()
    await bench.queue.enqueue([delivery("bob-1", "bob")])
    await bench.after(4 * MINUTE)
    bench.bell.ring(["sink"])
    await bench.look()
    assert bench.receivers.sent == ["ada-1"]
    await bench.after(2 * MINUTE)
    assert sorted(bench.receivers.sent) == ["ada-1", "ada-1", "bob-1"]


async def test_a_sink_has_a_few_places_and_all_sinks_together_some_more() -> None:
    now_under_way, most, most_of_sink = dict.fromkeys(map(str, range(20)), 0), 0, 0
    taken = dict.fromkeys(now_under_way, 0)
    released = asyncio.Event()

    async def answer(one: Delivery) -> SendOutcome:
        nonlocal most, most_of_sink
        taken[one.sink] += 1
        if taken[one.sink] <= 3:  # by then it may have all its places
            return DELIVERED
        now_under_way[one.sink] += 1
        most, most_of_sink = max(most, sum(now_under_way.values())), max(most_of_sink, now_under_way[one.sink])
        await released.wait()
        now_under_way[one.sink] -= 1
        return DELIVERED

    bench = Bench(Receivers(answer, *now_under_way))
    await bench.queue.enqueue(
        [delivery(f"{sink}-{n}", f"student-{n}", sink) for sink in now_under_way for n in range(20)]
    )
    looking = asyncio.create_task(bench.look())
    await until(lambda: most == AT_ONCE)
    await asyncio.sleep(0.02)
    released.set()
    await looking
    assert (most, most_of_sink) == (AT_ONCE, AT_ONCE_OF_SINK)
    assert len(bench.receivers.sent) == 400


async def test_dead_receivers_hold_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far more of them than there are places: each is tried by itself, in the few places of such sinks."""
    monkeypatch.setattr(sender, "AILING_PAUSE_S", 0.001)
    dead = [f"dead-{number}" for number in range(40)]

    async def answer(one: Delivery) -> SendOutcome:
        if one.sink == "alive":
            return DELIVERED
        await asyncio.sleep(0.05 if one.attempts == 0 and not one.delivery_id.startswith("late") else 3_600)
        return AGAIN

    bench = Bench(Receivers(answer, *dead, "alive"))
    await bench.queue.enqueue([delivery(f"{sink}-{n}", f"s-{n}", sink) for sink in dead for n in range(AILING_AFTER)])
    await bench.look()
    await bench.queue.enqueue([delivery(f"late-{sink}-{n}", f"t-{n}", sink) for sink in dead for n in range(30)])
    async with bench.running():
        await until(lambda: sum(one.startswith("late") for one in bench.receivers.sent) == sender.AILING_AT_ONCE)
        await bench.queue.enqueue([delivery(f"alive-{n}", f"s-{n % 10}", "alive") for n in range(100)])
        bench.bell.ring(["alive"])
        await until(lambda: sum(one.startswith("alive") for one in bench.receivers.sent) == 100)
        assert sum(one.startswith("late") for one in bench.receivers.sent) == sender.AILING_AT_ONCE


async def test_receivers_that_all_hang_from_the_beginning_hold_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """None has failed yet, since none has answered, and there are more of them than places."""
    monkeypatch.setattr(sender, "SLOW_AFTER_S", 0.02)
    hung = [f"hung-{number}" for number in range(100)]

    async def answer(one: Delivery) -> SendOutcome:
        return DELIVERED if one.sink == "alive" else await hangs(one)

    bench = Bench(Receivers(answer, *hung, "alive"))
    await bench.queue.enqueue([delivery(f"{sink}-{n}", f"s-{n}", sink) for sink in hung for n in range(30)])
    await bench.queue.enqueue([delivery(f"alive-{n}", f"s-{n % 10}", "alive") for n in range(100)])
    async with bench.running():
        await until(lambda: sum(one.startswith("alive") for one in bench.receivers.sent) == 100)
        await until(lambda: len(bench.receivers.sent) == 200)
        await asyncio.sleep(0.05)
        assert sum(one.startswith("hung") for one in bench.receivers.sent) == 100, "one of each, until it answers"


async def test_so_many_attempts_take_long_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "SLOW_AFTER_S", 0.001)
    monkeypatch.setattr(sender, "SLOW_AT_ONCE", 30)
    hung = [f"hung-{number}" for number in range(200)]
    bench = Bench(Receivers(hangs, *hung))
    await bench.queue.enqueue([delivery(sink, "ada", sink) for sink in hung])
    async with bench.running():
        await until(lambda: len(bench.receivers.sent) == AT_ONCE + 30)
        await asyncio.sleep(0.05)
        assert len(bench.receivers.sent) == AT_ONCE + 30


async def test_a_receiver_that_comes_back_gets_all_its_places_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "AILING_PAUSE_S", 0.001)
    bench = Bench(Receivers(fails))
    await bench.queue.enqueue([delivery(f"d-{n}", f"s-{n}") for n in range(30)])
    await bench.look()
    assert caplog.text.count("a receiver fails all the time") == 1
    bench.receivers.answer = takes
    await bench.after(10 * SECOND)
    assert [(await bench.one(f"d-{n}")).state for n in range(30)] == ["delivered"] * 30
    assert caplog.text.count("a receiver takes deliveries again") == 1


async def test_two_workers_share_a_queue_and_send_each_once() -> None:
    queue, clock = MemoryDeliveries(), Clock()

    async def answer(_: Delivery) -> SendOutcome:
        await asyncio.sleep(0.001)
        return DELIVERED

    benches = [Bench(Receivers(answer), queue, clock) for _ in range(2)]
    await queue.enqueue([delivery(f"d-{n}", f"s-{n % 20}") for n in range(200)])
    await asyncio.gather(*(bench.look() for bench in benches))
    sent = [one for bench in benches for one in bench.receivers.sent]
    assert sorted(sent) == sorted(f"d-{n}" for n in range(200))
    assert all(bench.receivers.sent for bench in benches)


async def test_what_a_crash_left_is_sent_by_another_worker_after_its_lease() -> None:
    queue, clock = MemoryDeliveries(), Clock()
    await queue.enqueue([delivery("ada-1"), delivery("ada-2")])
    await queue.lease("sink", NOW, NOW + LEASE, 8)  # and then it was killed
    bench = Bench(Receivers(takes), queue, clock)
    await bench.look()
    assert bench.receivers.sent == []
    await bench.after(LEASE)
    assert bench.receivers.sent == ["ada-1", "ada-2"]


async def test_what_is_under_way_at_the_end_is_given_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "END_S", 0.1)
    bench = Bench(Receivers(hangs, "sink", "other"))
    await bench.queue.enqueue([delivery("ada-1"), delivery("bob-1", "bob", "other")])
    async with bench.running():
        await until(lambda: len(bench.receivers.sent) == 2)
    bench.receivers.answer = takes
    await bench.look()
    assert sorted(bench.receivers.sent) == ["ada-1", "ada-1", "bob-1", "bob-1"]
    assert (await bench.one("ada-1")).attempts == 1


async def test_what_ends_in_time_is_settled_at_the_end() -> None:
    async def answer(_: Delivery) -> SendOutcome:
        await asyncio.sleep(0.05)
        return DELIVERED

    bench = Bench(Receivers(answer))
    await bench.queue.enqueue([delivery("ada-1")])
    async with bench.running():
        await until(lambda: bench.receivers.sent == ["ada-1"])
    assert (await bench.one("ada-1")).state == "delivered"


async def test_what_is_queued_here_is_sent_at_once_and_what_is_queued_elsewhere_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "LOOK_EVERY_S", 30.0)
    bench = Bench(Receivers(takes))
    async with bench.running():
        await until(lambda: bench.receivers.looks == 1)
        await bench.queue.enqueue([delivery("ada-1")])
        bench.bell.ring(["sink"])
        await until(lambda: bench.receivers.sent == ["ada-1"], 1)
        bench.receivers.there.append("new")  # one that no look has seen
        await bench.queue.enqueue([delivery("new-1", sink="new")])
        bench.bell.ring(["new"])
        await until(lambda: bench.receivers.sent == ["ada-1", "new-1"], 1)
        assert bench.receivers.looks == 2
    monkeypatch.setattr(sender, "LOOK_EVERY_S", 0.02)
    async with bench.running():
        await bench.queue.enqueue([delivery("ada-2")])
        await until(lambda: "ada-2" in bench.receivers.sent, 1)


async def test_without_sinks_the_queue_is_not_asked() -> None:
    class Asked(MemoryDeliveries):
        async def next_due(self, sink: str) -> Micros | None:
            raise AssertionError("The queue was asked.")

    bench = Bench(Receivers(takes), Asked())
    bench.receivers.there = []
    await bench.look()


async def test_a_fault_of_ours_with_one_delivery_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(one: Delivery) -> SendOutcome:
        if one.delivery_id == "ada-1":
            raise KeyError(one.delivery_id)
        return DELIVERED

    bench = Bench(Receivers(answer))
    await bench.queue.enqueue([delivery("ada-1"), delivery("bob-1", "bob")])
    await bench.look()
    assert (await bench.one("bob-1")).state == "delivered"
    assert (await bench.one("ada-1")).outcome.startswith("it could not be sent")
    assert [record.levelno for record in caplog.records if "cannot be sent" in record.message] == [logging.ERROR]


async def test_a_store_of_ours_that_is_away_is_no_attempt() -> None:
    async def answer(_: Delivery) -> SendOutcome:
        raise Unavailable("The store is away.")

    bench = Bench(Receivers(answer))
    await bench.queue.enqueue([delivery("ada-1")])
    await bench.look()
    waiting = await bench.one("ada-1")
    assert (waiting.state, waiting.attempts) == ("waiting", 0)
    bench.receivers.answer = takes
    await bench.after(10 * SECOND)
    assert (await bench.one("ada-1")).state == "delivered"


async def test_a_queue_that_is_away_for_a_moment_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender, "LOOK_EVERY_S", 0.01)

    class Away(MemoryDeliveries):
        away: str = ""

        async def next_due(self, sink: str) -> Micros | None:
            self._check("next_due")
            return await super().next_due(sink)

        async def lease(self, sink: str, now: Micros, until: Micros, limit: int) -> list[Delivery]:
            self._check("lease")
            return await super().lease(sink, now, until, limit)

        async def settle(self, deliveries: object) -> None:
            self._check("settle")
            await super().settle(deliveries)  # type: ignore[arg-type]

        def _check(self, call: str) -> None:
            if self.away == call:
                raise Unavailable("The store is away.")

    def is_delivered(name: str) -> bool:
        return queue._deliveries["sink", name].state == "delivered"

    queue = Away()
    bench = Bench(Receivers(takes), queue)
    async with bench.running():
        for number, call in enumerate(("next_due", "lease", "settle")):
            queue.away = call
            await queue.enqueue([delivery(f"ada-{number}")])
            await asyncio.sleep(0.05)
            queue.away = ""
            bench.clock.tick(LEASE)  # after a settlement that was lost it is sent again, under its id
            await until(partial(is_delivered, f"ada-{number}"))
    assert caplog.text.count("cannot be sent at the moment") == 1
    assert set(bench.receivers.sent) == {"ada-0", "ada-1", "ada-2"}


async def test_a_removed_sink_s_deliveries_stay_removed() -> None:
    async def answer(one: Delivery) -> SendOutcome:
        await bench.queue.remove_sink(one.sink)
        return AGAIN

    bench = Bench(Receivers(answer))
    await bench.queue.enqueue([delivery("ada-1"), delivery("ada-2")])
    await bench.look()
    assert await bench.queue.page("sink", None, "", 10) == []
