"""What is done with results besides publishing them: they are handed to whoever makes deliveries or badges of them."""

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result, result_id
from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import Unavailable
from mastery_engine.ports.result_log import NO_TRACES, ResultLog
from mastery_engine.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


class Follower(Protocol):
    """Makes something of results: deliveries to webhooks, grades, badges."""

    @property
    def name(self) -> str:
        """What it is called in logs and metrics."""
        ...

    async def follow(self, results: Sequence[Result]) -> None:
        """Take results up; what follows from them is durable on return.

        Results come again after a crash, under the same ids, and must then lead to nothing more. Raises Unavailable
        where the engine's own store is away.
        """
        ...


class Outgoing:
    """A result log whose results followers take up once they are published: see ``ResultLog``.

    A batch counts as published when all followers have it. So after a crash in between it is published again and comes
    to them again, on any log, and none needs a place of its own in the log.
    """

    def __init__(self, log: ResultLog, followers: Sequence[Follower], metrics: Metrics) -> None:
        self._log = log
        self._followers = followers
        self._metrics = metrics

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        await self._log.publish(results, traceparents)
        for follower in self._followers:
            await self._hand(follower, results)

    async def erase(self, key: StudentKey) -> int:
        return await self._log.erase(key)

    async def purge(self, before: Micros) -> int:
        return await self._log.purge(before)

    async def _hand(self, follower: Follower, results: Sequence[Result]) -> None:
        """A follower's own fault stops no worker: it loses the result that it cannot take, and the others go on."""
        try:
            await follower.follow(results)
        except Unavailable:
            raise
        except Exception:
            if len(results) > 1:
                for result in results:
                    await self._hand(follower, [result])
                return
            self._metrics.results_not_followed.labels(follower.name).inc()
            logger.exception(
                "a result could not be taken up", extra={"follower": follower.name, "result": result_id(results[0])}
            )
