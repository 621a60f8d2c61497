"""The figures of the last hour: what each process tells, and what all of them say together."""

import asyncio
from collections.abc import Mapping
from itertools import count
from random import Random

import pytest

from mastery_engine.auth.access import Caller
from mastery_engine.backends.memory.audit_log import MemoryAuditLog
from mastery_engine.backends.memory.registry import MemoryRegistry
from mastery_engine.domain.moments import MINUTE, SECOND, Micros
from mastery_engine.errors import Forbidden, Unavailable
from mastery_engine.ports.registry import Entry, RegistryStore, Table
from mastery_engine.responses.figures import MINUTES, HourOfFigures, MinuteOfAll, quantile
from mastery_engine.services.access_control import AccessControl
from mastery_engine.services.audit import Audit
from mastery_engine.services.figures import Figures
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.totals import LATENCY_BOUNDS

NOON: Micros = 1_700_000_000 * SECOND // MINUTE * MINUTE


class Replica:
    """A process with its own metrics, on a registry that it may share."""

    ids = count(1)

    def __init__(self, registry: RegistryStore, name: str, *, serves: bool = True, began: Micros = NOON) -> None:
        self.metrics = Metrics()
        self.lag: dict[str, int] = {}
        self.now = began
        audit = Audit(MemoryAuditLog(), lambda: self.now, str)
        self.figures = Figures(
            registry,
            self.metrics,
            self._lag,
            AccessControl(audit),
            lambda: self.now,
            lambda: f"r-{next(self.ids)}",
            name,
        )
        self.figures.begin(began, serves=serves)

    def _lag(self) -> Mapping[str, int]:
        return self.lag

    def answer(self, number: int, status: int = 200, seconds: float = 0.004, endpoint: str = "/mastery/query") -> None:
        for _ in range(number):
            self.metrics.answered(endpoint, "POST", status, seconds)

    async def tell(self, seconds_after: float) -> None:
        self.now = NOON + int(seconds_after * SECOND)
        await self.figures.tell(self.now)

    async def hour(self, seconds_after: float, role: str = "admin") -> HourOfFigures:
        self.now = NOON + int(seconds_after * SECOND)
        return await self.figures.hour(Caller("ops", role))  # type: ignore[arg-type]


def told(hour: HourOfFigures) -> list[MinuteOfAll]:
    return [one for one in hour.minutes if one.replicas]


async def test_all_replicas_are_summed_and_percentiles_come_of_their_histograms() -> None:
    registry = MemoryRegistry()
    quick, slow = Replica(registry, "quick"), Replica(registry, "slow", serves=False)
    quick.answer(990, seconds=0.002)
    quick.answer(100, endpoint="/ready")  # probes are no calls
    slow.answer(10, seconds=0.7)
    slow.answer(3, status=404, seconds=0.7)
    slow.answer(2, status=503, seconds=9.0)
    slow.metrics.events.labels("quiz", "folded").inc(120)
    slow.metrics.events.labels("quiz", "accepted").inc(7)
    slow.metrics.dead_letters.labels("VALIDATION_ERROR").inc(4)
    slow.metrics.worker_up.set(1)
    quick.lag, slow.lag = {"events": 5}, {"events": 8, "openedx": 1}
    await slow.tell(30)
    hour = await quick.hour(30)

    (minute,) = told(hour)
    assert len(hour.minutes) == MINUTES
    assert minute == hour.minutes[-1]
    assert (minute.replicas, hour.telling, hour.is_whole) == (2, 2, True)
    assert (minute.calls, minute.client_errors, minute.server_errors) == (33.5, 0.1, 0.067)
    assert (minute.events, minute.dead_letters) == (4.0, 4)
    assert minute.lag == {"events": 8, "openedx": 1}, "each measures the whole lag: the most of them, no sum"
    assert minute.p50 is not None
    assert 1.0 < minute.p50 <= 2.5
    assert minute.p99 is not None
    assert 500 < minute.p99 <= 1_000, "15 of 1,005 were slow: an average would be 2 ms"
    lines = {line.host: (line.serves, line.works, line.silent) for line in hour.replicas}
    assert lines == {"quick": (True, False, False), "slow": (False, True, False)}


async def test_who_falls_silent_leaves_a_gap_and_is_gone_after_the_hour() -> None:
    registry = MemoryRegistry()
    here, lost = Replica(registry, "here"), Replica(registry, "lost")
    for second in range(15, 181, 15):
        await here.tell(second)
        await lost.tell(second)
    hour = await here.hour(400)
    assert [one.silent for one in hour.replicas] == [False, True]
    assert hour.telling == 1

    other = Replica(registry, "new", began=NOON + 600 * SECOND)
    hour = await other.hour(630)
    assert [one.replicas for one in hour.minutes[-11:]] == [2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 1], "nobody told in between"
    gap = hour.minutes[-5]
    assert (gap.calls, gap.p50, gap.events, gap.dead_letters, gap.lag) == (None, None, None, None, {})
    assert (told(hour)[-1].calls, told(hour)[-1].p95) == (0.0, None), "told, and no call"
    hour = await other.hour(3 * 3_600)
    assert [one.host for one in hour.replicas] == ["new"]


async def test_who_stops_in_order_is_not_missed() -> None:
    registry = MemoryRegistry()
    here, restarted = Replica(registry, "here"), Replica(registry, "restarted")
    restarted.answer(6)
    restarted.now = NOON + 10 * SECOND
    await restarted.figures.end()
    hour = await here.hour(600)
    line = next(one for one in hour.replicas if one.host == "restarted")
    assert (line.stopped, line.silent, hour.telling) == (True, False, 1)
    assert told(hour)[0].calls == 0.6, "what it did last is told"


class AwayStore(MemoryRegistry):
    is_away = True

    async def page(self, table: Table, prefix: str, after: str, limit: int, now: Micros) -> list[Entry]:
        if self.is_away:
            raise Unavailable("The store is away.")
        return await super().page(table, prefix, after, limit, now)

    async def write(self, *what: object) -> list[bool]:
        if self.is_away:
            raise Unavailable("The store is away.")
        return await super().write(*what)  # type: ignore[arg-type]


async def test_while_the_store_is_away_nothing_is_lost_and_the_page_has_its_own_process() -> None:
    registry = AwayStore()
    here, other = Replica(registry, "here"), Replica(registry, "other")
    other.answer(15)
    with pytest.raises(Unavailable):
        await other.tell(15)
    hour = await here.hour(30)
    assert (hour.is_whole, [one.host for one in hour.replicas]) == (False, ["here"])
    registry.is_away = False
    await other.tell(60)
    hour = await here.hour(90)
    assert hour.is_whole
    assert told(hour)[0].calls == 0.25, "what it could not tell is told later"


async def test_it_tells_by_itself_and_goes_on_after_a_store_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mastery_engine.services.figures.TELL_EVERY_S", 0.001)
    registry = AwayStore()
    here = Replica(registry, "here")
    task = asyncio.create_task(here.figures.keep_telling(serves=True))
    await asyncio.sleep(0.01)
    registry.is_away = False
    async with asyncio.timeout(5):
        while not await registry.page("replicas", "", "", 1, NOON):
            await asyncio.sleep(0.001)
    task.cancel()
    record = (await registry.page("replicas", "", "", 2, NOON))[0]
    assert len(record.value) < 1_000


async def test_an_hour_of_a_process_is_a_few_kilobytes_and_does_not_grow() -> None:
    registry = MemoryRegistry()
    here = Replica(registry, "here")
    here.lag = {"events": 1}
    sizes = []
    for second in range(15, 7_215, 15):
        here.answer(3)
        await here.tell(second)
        (entry,) = await registry.page("replicas", "", "", 10, here.now)
        sizes.append(len(entry.value))
    assert max(sizes) == pytest.approx(sizes[len(sizes) // 2], rel=0.02)
    assert max(sizes) < 6_000
    hour = await here.hour(7_200)
    assert {one.calls for one in hour.minutes[:-1]} == {0.2}


async def test_figures_are_not_for_students_and_teachers() -> None:
    here = Replica(MemoryRegistry(), "here")
    for role in ("student", "teacher"):
        with pytest.raises(Forbidden):
            await here.hour(1, role)
    assert (await here.hour(1, "service")).telling == 1


def test_a_quantile_of_a_histogram_lies_in_the_bucket_of_the_calls_own_quantile() -> None:
    chance = Random(7)
    for _ in range(200):
        calls = [chance.lognormvariate(-5, 1.5) for _ in range(chance.randint(2, 400))]
        counts = [0] * (len(LATENCY_BOUNDS) + 1)
        for seconds in calls:
            counts[next((n for n, bound in enumerate(LATENCY_BOUNDS) if seconds <= bound), len(LATENCY_BOUNDS))] += 1
        for share in (50, 95, 99):
            found = quantile(share / 100, counts, LATENCY_BOUNDS)
            exact = sorted(calls)[max(0, -(-share * len(calls) // 100) - 1)]
            place = next((n for n, bound in enumerate(LATENCY_BOUNDS) if exact <= bound), len(LATENCY_BOUNDS))
            low = LATENCY_BOUNDS[place - 1] if place else 0.0
            high = LATENCY_BOUNDS[min(place, len(LATENCY_BOUNDS) - 1)]
            assert found is not None
            assert low * 1_000 - 0.01 <= found <= high * 1_000 + 0.01
    assert quantile(0.5, [0] * 12, LATENCY_BOUNDS) is None
    assert quantile(0.99, [0] * 11 + [5], LATENCY_BOUNDS) == 2_500
