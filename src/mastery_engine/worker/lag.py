"""The lag: how many records of the log are not folded yet, measured for the metrics."""

import asyncio
from contextlib import suppress

from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import EventLog
from mastery_engine.telemetry.metrics import Metrics

LOOK_EVERY_S = 1.0


class Lag:
    """Measures the lag, whether this process or others work the log."""

    def __init__(self, events: EventLog, metrics: Metrics) -> None:
        self._events = events
        self._metrics = metrics

    async def measure(self) -> None:
        """Set the lag metrics of each partition. Raises Unavailable."""
        ends, committed = await self._events.ends(), await self._events.committed()
        self._metrics.set_lag({partition: max(end - committed.get(partition, 0), 0) for partition, end in ends.items()})

    async def keep_measuring(self) -> None:
        """Measure each second, until cancelled."""
        while True:
            with suppress(Unavailable):
                await self.measure()
            await asyncio.sleep(LOOK_EVERY_S)
