"""Where results go out: what a fold led to, for other services."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from mastery_engine.domain.moments import Micros
from mastery_engine.domain.results import Result
from mastery_engine.domain.student import StudentKey

NO_TRACES: Mapping[str, str] = MappingProxyType({})


class ResultLog(Protocol):
    """Results out. All calls raise Unavailable when the log is away."""

    async def publish(self, results: Sequence[Result], traceparents: Mapping[str, str] = NO_TRACES) -> None:
        """Send results; durable on return. One that was sent before, by its id, is not sent again or can be told.

        ``traceparents`` gives the traces that results belong to, by the results' ids.
        """
        ...

    async def erase(self, key: StudentKey) -> int:
        """Take out the student's results; how many there were. Kafka's stay: ``EventLog.retained_until``."""
        ...

    async def purge(self, before: Micros) -> int:
        """Remove results from before a moment; how many there were."""
        ...
