"""The sender: it sends what waits in the queues of deliveries, each sink's at its own pace.

A sink that has something due is worked by a task of its own, on a few deliveries at once. One that has taken nothing
yet, or has just failed, begins with one at once, and an attempt that takes long gives its place to others while it
waits. One whose receiver fails all the time is only tried, and all such sinks share a few places of their own. So
dead receivers, however many die at once, hold up nobody. Leases keep several workers apart, and give back what a
crash left; what a crash may repeat goes out under the same id.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import msgspec

from mastery_engine.clock import Clock
from mastery_engine.domain.moments import SECOND, Micros
from mastery_engine.errors import Unavailable
from mastery_engine.out.retries import FIRST_PAUSE, next_attempt
from mastery_engine.ports.deliveries import Delivery, DeliveryQueue
from mastery_engine.services.receivers import SENT_WITHIN_S, Bell, Receiver, SendOutcome
from mastery_engine.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

AT_ONCE, AT_ONCE_OF_SINK = 64, 8
SLOW_AFTER_S, SLOW_AT_ONCE = 1.0, 192  # attempts that take longer, besides those at once
AILING_AT_ONCE, AILING_AFTER = 16, 10  # failures without a success between them
AILING_PAUSE_S = 1.0
LEASE: Micros = int(SENT_WITHIN_S + 5) * SECOND
LOOK_EVERY_S = 2.0
SOON: Micros = 50_000
END_S = 0.5  # what is under way at the end may take so long
OURS = "it could not be sent: the log of the service says why"


@dataclass
class _Sink:
    """What this process knows of a sink."""

    name: str
    receiver: Receiver
    failures: int = 0
    may_have: int = 1  # places: more with each success
    rests_until: Micros = 0
    has_more: bool = False
    under_way: dict[asyncio.Task[Delivery], Delivery] = field(default_factory=dict)

    @property
    def is_ailing(self) -> bool:
        return self.failures >= AILING_AFTER


class DeliverySender:
    """Sends deliveries until cancelled."""

    def __init__(
        self,
        queue: DeliveryQueue,
        receivers: Sequence[Receiver],
        bell: Bell,
        clock: Clock,
        chance: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        """``chance`` gives numbers in [0, 1)."""
        self._queue = queue
        self._receivers = receivers
        self._bell = bell
        self._clock = clock
        self._chance = chance
        self._metrics = metrics
        self._sinks: dict[str, _Sink] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._ailing_places = asyncio.Semaphore(AILING_AT_ONCE)
        self._slow: set[asyncio.Task[Delivery]] = set()

    async def keep_running(self) -> None:
        """Send until cancelled; then what is under way may end within a moment, and the rest is given back."""
        hindered = False
        try:
            while True:
                try:
                    pause = await self.look()
                    hindered = False
                except Unavailable as error:
                    if not hindered:
                        logger.warning("what is queued for others cannot be sent at the moment: %s", error.message)
                    hindered, pause = True, LOOK_EVERY_S
                except Exception:  # a fault of ours with one kind of receiver must not end all sending
                    logger.exception("what is queued for others cannot be looked at")
                    pause = LOOK_EVERY_S
                await self._wait(pause)
        finally:
            await self.stop()

    async def look(self) -> float:
        """Begin to work each sink that has something due; for how long, in seconds, nothing else will be."""
        now, pause = self._clock(), LOOK_EVERY_S
        there: dict[str, _Sink] = {}
        for receiver in self._receivers:
            for name in await receiver.sinks(now):
                there[name] = self._sinks.get(name) or _Sink(name, receiver)
        self._sinks = there
        for sink in there.values():
            due = None if sink.name in self._tasks else await self._queue.next_due(sink.name)
            if due is None:
                continue
            due = max(due, sink.rests_until)
            if due <= now:
                self._begin(sink)
            else:
                pause = min(pause, (due - now + SOON) / SECOND)
        return pause

    async def stop(self) -> None:
        """Let what is under way end within a moment, and give the rest back."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2 * END_S)

    async def _wait(self, pause: float) -> None:
        """Wait for the next look. Sinks for which something is queued meanwhile are worked at once."""
        bell = self._bell
        try:
            async with asyncio.timeout(pause):
                while bell.sinks <= self._sinks.keys():
                    for name in bell.sinks:
                        self._begin(self._sinks[name])
                    bell.sinks.clear()
                    bell.rung.clear()
                    await bell.rung.wait()
        except TimeoutError:
            return
        bell.sinks.clear()  # a new one is among them: the look finds it

    def _begin(self, sink: _Sink) -> None:
        """Work a sink, unless it rests; one that is being worked has more to do."""
        if sink.name in self._tasks:
            sink.has_more = True
        elif self._clock() >= sink.rests_until:
            task = self._tasks[sink.name] = asyncio.create_task(self._worked(sink))
            task.add_done_callback(lambda _: self._tasks.pop(sink.name, None))

    async def _worked(self, sink: _Sink) -> None:
        """Work a sink. What hinders that is logged here, and tried again at a later look."""
        try:
            await self._work(sink)
        except Unavailable as error:
            logger.warning("the deliveries of a sink cannot be worked: %s", error.message, extra={"sink": sink.name})
        except Exception:  # a fault of ours with one sink must not keep the others from being worked
            logger.exception("the deliveries of a sink cannot be worked", extra={"sink": sink.name})

    async def _work(self, sink: _Sink) -> None:
        """Send until nothing of the sink is due, in as many places as it may have."""
        may_have_more = True
        try:
            while True:
                if may_have_more or sink.has_more:
                    sink.has_more = False
                    may_have_more = await self._fill(sink)
                if not sink.under_way:
                    break
                ended, _ = await asyncio.wait(sink.under_way, return_when=asyncio.FIRST_COMPLETED)
                await self._settle(sink, ended)
                may_have_more = True  # what is next in their lanes
                if sink.is_ailing:
                    await asyncio.sleep(AILING_PAUSE_S)
        finally:
            await self._give_back(sink)

    async def _fill(self, sink: _Sink) -> bool:
        """Begin to send what is due, in the places that the sink may have; whether more may be due."""
        now = self._clock()
        room = (1 if sink.is_ailing else sink.may_have) - len(sink.under_way)
        if room <= 0 or now < sink.rests_until:
            return room <= 0
        places = self._ailing_places if sink.is_ailing else self._places
        taken = 0
        try:
            while taken < room and (not places.locked() or not (taken or sink.under_way)):
                await places.acquire()
                taken += 1
            now = self._clock()  # there may have been a wait for a place
            leased = await self._queue.lease(sink.name, now, now + LEASE, taken) if taken else []
            for delivery in leased:
                self._send(sink, delivery, places)
                taken -= 1
        finally:
            for _ in range(taken):
                places.release()
        return taken == 0

    def _send(self, sink: _Sink, delivery: Delivery, places: asyncio.Semaphore) -> None:
        task = asyncio.create_task(self._sent(sink, delivery))
        waiting = asyncio.get_running_loop().call_later(SLOW_AFTER_S, self._give_place, task, places)
        task.add_done_callback(lambda _: self._end(waiting, task, places))
        sink.under_way[task] = delivery

    def _give_place(self, task: asyncio.Task[Delivery], places: asyncio.Semaphore) -> None:
        """An attempt takes long: others have its place meanwhile, unless too many take long already."""
        if places is self._places and len(self._slow) < SLOW_AT_ONCE:
            self._slow.add(task)
            places.release()

    def _end(self, waiting: asyncio.TimerHandle, task: asyncio.Task[Delivery], places: asyncio.Semaphore) -> None:
        """An attempt has ended: its place is free, unless others have it already."""
        waiting.cancel()
        if task in self._slow:
            self._slow.remove(task)
        else:
            places.release()

    async def _sent(self, sink: _Sink, delivery: Delivery) -> Delivery:
        """The delivery after an attempt."""
        try:
            outcome = await sink.receiver.send(delivery, self._clock())
        except Unavailable as error:
            logger.warning("a delivery has to wait: %s", error.message, extra={"sink": sink.name})
            return msgspec.structs.replace(delivery, due=self._clock() + FIRST_PAUSE)
        except Exception:  # a fault of ours with one delivery must not keep the others from being sent
            logger.exception("a delivery cannot be sent", extra={"sink": sink.name, "delivery": delivery.delivery_id})
            outcome = SendOutcome("again", OURS)
        return self._after(sink, delivery, outcome)

    def _after(self, sink: _Sink, delivery: Delivery, outcome: SendOutcome) -> Delivery:
        now, attempts = self._clock(), delivery.attempts + 1
        self._note(sink, outcome, now)
        tried = msgspec.structs.replace(delivery, attempts=attempts, tried=now, outcome=outcome.words)
        due: Micros | None = None
        if outcome.result == "again":
            due = next_attempt(
                attempts=attempts, queued=delivery.queued, now=now, wait=outcome.wait, chance=self._chance()
            )
        counted = "delivered" if outcome.result == "delivered" else "failed" if due is None else "retried"
        self._metrics.deliveries.labels(sink.receiver.name, counted).inc()
        if due is not None:
            return msgspec.structs.replace(tried, due=due)
        if counted == "failed":
            about = {"sink": sink.name, "delivery": delivery.delivery_id, "attempts": attempts}
            logger.warning("a delivery was given up: %s", outcome.words, extra=about)
        return msgspec.structs.replace(tried, state=counted, ended=now)

    def _note(self, sink: _Sink, outcome: SendOutcome, now: Micros) -> None:
        """What an attempt says about the sink's receiver."""
        was_ailing = sink.is_ailing
        if outcome.result == "delivered":
            sink.failures = 0
            sink.may_have = min(2 * sink.may_have, AT_ONCE_OF_SINK)
        elif outcome.result == "again":
            sink.failures += 1
            sink.may_have = 1
            sink.rests_until = max(sink.rests_until, now + outcome.wait if outcome.wait else 0)
        if sink.is_ailing != was_ailing:
            words = "a receiver fails all the time" if sink.is_ailing else "a receiver takes deliveries again"
            logger.warning("%s: %s", words, outcome.words, extra={"sink": sink.name})

    async def _settle(self, sink: _Sink, ended: Collection[asyncio.Task[Delivery]]) -> None:
        for task in ended:
            del sink.under_way[task]
        await self._queue.settle([task.result() for task in ended if not task.cancelled()])

    async def _give_back(self, sink: _Sink) -> None:
        """At the end of work: nothing is under way, unless it is cut short."""
        if not sink.under_way:
            return
        await asyncio.wait(sink.under_way, timeout=END_S)
        for task in sink.under_way:
            task.cancel()
        left = list(sink.under_way.items())
        sink.under_way = {}
        await asyncio.wait([task for task, _ in left])
        given_back = [
            delivery if task.cancelled() else task.result()  # due as before, and leased by nobody
            for task, delivery in left
        ]
        await self._queue.settle(given_back)
