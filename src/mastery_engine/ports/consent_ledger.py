"""Where changes of consent, erasures and links of derived ids are recorded, as durably as events."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from mastery_engine.domain.moments import Micros


class ConsentRecord(msgspec.Struct, frozen=True, gc=False):
    """A student's consent over time, or the links of a derived id, under a keyed hash; ``at`` is when it was taken."""

    name: str
    value: bytes
    at: Micros


class ConsentLedger(Protocol):
    """The newest record for each keyed hash. All calls raise Unavailable when the log is away."""

    async def put_all(self, values: Mapping[str, bytes], at: Micros) -> None:
        """Keep each value in the place of what was kept under its name; durable on return.

        ``at`` is the sender's time; a ledger with a clock of its own goes by that.
        """
        ...

    async def read(self, after: int) -> tuple[list[ConsentRecord], int]:
        """The records from a position on (0: all of them), and the position behind the last."""
        ...
