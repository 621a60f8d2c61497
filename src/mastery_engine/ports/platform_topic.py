"""A topic that another platform writes, read by all workers together, each record by one of them."""

from collections.abc import Mapping
from typing import Protocol

from mastery_engine.ports.event_log import Batch


class PlatformTopic(Protocol):
    """Records of another platform. All calls but ``close`` raise Unavailable when the topic is away."""

    @property
    def name(self) -> str:
        """What the platform calls it."""
        ...

    async def read(self) -> Batch | None:
        """The records that are next, from what was committed on, or None after a while without any."""
        ...

    async def commit(self, ends: Mapping[int, int]) -> None:
        """Everything below these offsets was worked; who reads the topic anew begins there."""
        ...

    async def lag(self) -> int:
        """How many records of the topic nobody has worked yet, whoever reads them."""
        ...

    async def close(self) -> None:
        """Let others read; may be called twice."""
        ...
