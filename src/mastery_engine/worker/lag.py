"""The lag: how many records of the log are not folded yet, measured for the metrics."""

import asyncio
from contextlib import suppress
from itertools import count

from mastery_engine.errors import Unavailable
from mastery_engine.ports.event_log import EventLog
from mastery_engine.ports.platform_topic import PlatformTopic
from mastery_engine.telemetry.metrics import Metrics

LOOK_EVERY_S = 1.0
PLATFORM_EVERY = 15  # looks: what waits on another platform's topic is not among the metrics
EVENTS, PLATFORM = "events", "openedx"


class Lag:
    """Measures the lag, whether this process or others work the log."""

    def __init__(self, events: EventLog, platform_topic: PlatformTopic | None, metrics: Metrics) -> None:
        self._events = events
        self._platform_topic = platform_topic
        self._metrics = metrics
        self._latest: dict[str, int] = {}

    def latest(self) -> dict[str, int]:
        """What waited for each consumer group at the last look, without those that could not be asked then."""
        return self._latest

    async def measure(self) -> None:
        """Set the lag metrics of each partition. Raises Unavailable."""
        self._latest.pop(EVENTS, None)
        ends, committed = await self._events.ends(), await self._events.committed()
        lag = {partition: max(end - committed.get(partition, 0), 0) for partition, end in ends.items()}
        self._latest[EVENTS] = sum(lag.values())
        self._metrics.set_lag(lag)

    async def keep_measuring(self) -> None:
        """Measure each second, until cancelled."""
        for look in count():
            with suppress(Unavailable):
                await self.measure()
            if self._platform_topic is not None and look % PLATFORM_EVERY == 0:
                self._latest.pop(PLATFORM, None)
                with suppress(Unavailable):
                    self._latest[PLATFORM] = await self._platform_topic.lag()
            await asyncio.sleep(LOOK_EVERY_S)
