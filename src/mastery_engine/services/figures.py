"""The figures of all replicas: each process tells the shared store its own last hour, and reads those of the others.

One record for each process, written again every 15 seconds with the hour that it remembers, so that what a store missed
while it was away is in the next one. A process that is gone is there until its last record ends.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from mastery_engine import __version__
from mastery_engine.auth.access import Act, Caller
from mastery_engine.clock import Clock, NewId
from mastery_engine.domain.moments import MINUTE, SECOND, Micros
from mastery_engine.errors import Unavailable
from mastery_engine.ports.registry import RegistryStore, RegistryWrite
from mastery_engine.responses.figures import (
    MINUTES,
    HourOfFigures,
    MinuteFigures,
    ReplicaFigures,
    hour_of,
    most_lag,
    pack_figures,
    unpack_figures,
)
from mastery_engine.services.access_control import AccessControl
from mastery_engine.telemetry.metrics import Metrics
from mastery_engine.telemetry.totals import LATENCY_BOUNDS, Totals, totals_of

TELL_EVERY_S = 15
KEPT: Micros = (MINUTES + 1) * MINUTE
MOST_REPLICAS = 200
PATIENCE_S = 2.0
END_S = 0.5


class Figures:
    """What this process tells of itself, and the hour over all replicas."""

    def __init__(
        self,
        registry: RegistryStore,
        metrics: Metrics,
        lag: Callable[[], Mapping[str, int]],
        access: AccessControl,
        clock: Clock,
        new_id: NewId,
        host: str,
    ) -> None:
        """``lag`` gives what waits for each consumer group by now, without those that cannot be asked."""
        self._registry = registry
        self._metrics = metrics
        self._lag = lag
        self._access = access
        self._clock = clock
        self._new_id = new_id
        self._host = host
        self._own: ReplicaFigures | None = None
        self._counted = Totals()
        self._counted_at: Micros = 0

    def begin(self, now: Micros, *, serves: bool) -> None:
        """Remember from now on; ``serves`` says whether this process answers calls."""
        self._own = ReplicaFigures(self._new_id(), self._host, __version__, serves, now, now)
        self._counted, self._counted_at = totals_of(self._metrics), now

    async def keep_telling(self, *, serves: bool) -> None:
        """Tell every 15 seconds, by the clock, until cancelled. A store that is away is told later."""
        self.begin(self._clock(), serves=serves)
        while True:
            await asyncio.sleep(TELL_EVERY_S - self._clock() / SECOND % TELL_EVERY_S)
            try:
                await self.tell(self._clock())
            except Unavailable:
                continue  # readiness says so

    async def tell(self, now: Micros) -> None:
        """Write the last hour of this process. Raises Unavailable."""
        own = self._looked(now)
        if own is not None:
            await self._write(own, now)

    async def _write(self, own: ReplicaFigures, now: Micros) -> None:
        write = RegistryWrite(own.replica, pack_figures(own), expires=now + KEPT)
        await self._registry.write("replicas", [write], now)

    async def end(self) -> None:
        """Tell for the last time, that this process has stopped in order; a store that is away is not waited for."""
        if self._own is not None:
            now = self._clock()
            self._looked(now)
            self._own = msgspec.structs.replace(self._own, stopped=True)
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(END_S):
                    await self._write(self._own, now)

    async def hour(self, caller: Caller) -> HourOfFigures:
        """The last hour over all replicas; of this process alone where the store does not answer. Raises Forbidden."""
        self._access.check_act(caller, Act.OPERATE, "figures")
        now = caller.moment(self._clock)
        own = self._looked(now)
        told, is_whole = [] if own is None else [own], True
        try:
            async with asyncio.timeout(PATIENCE_S):
                entries = await self._registry.page("replicas", "", "", MOST_REPLICAS, now)
        except (Unavailable, TimeoutError):
            is_whole = False
        else:
            others = [unpack_figures(entry.value) for entry in entries if own is None or entry.key != own.replica]
            told += [one for one in others if one is not None]
        return hour_of(told, now, LATENCY_BOUNDS, is_whole=is_whole)

    def _looked(self, now: Micros) -> ReplicaFigures | None:
        """The last hour of this process, with what was counted since it was looked at last."""
        if self._own is None:
            return None
        before, since = self._counted, self._counted_at
        self._counted, self._counted_at = totals_of(self._metrics), now
        seconds = max(0.0, (now - since) / SECOND)
        minute = (now + since) // 2 // MINUTE
        minutes = {one.minute: one for one in self._own.minutes if one.minute > now // MINUTE - MINUTES}
        minutes[minute] = self._with(minutes.get(minute), minute, seconds, self._counted.since(before))
        told = tuple(minutes[key] for key in sorted(minutes))
        self._own = msgspec.structs.replace(self._own, told=now, minutes=told)
        return self._own

    def _with(self, known: MinuteFigures | None, minute: int, seconds: float, more: Totals) -> MinuteFigures:
        works = any(sample.value for metric in self._metrics.worker_up.collect() for sample in metric.samples)
        counted = (more.calls, more.refused, more.failed, more.folded, more.dead, more.latency)
        if known is None:
            return MinuteFigures(minute, seconds, *counted, dict(self._lag()), works)
        return MinuteFigures(
            minute,
            known.seconds + seconds,
            known.calls + more.calls,
            known.refused + more.refused,
            known.failed + more.failed,
            known.folded + more.folded,
            known.dead + more.dead,
            tuple(a + b for a, b in zip(known.latency, more.latency, strict=True)),
            most_lag((known.lag, self._lag())),
            works,
        )
