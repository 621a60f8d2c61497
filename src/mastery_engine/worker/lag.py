"""How much waits in the log for a worker, said in the metrics."""

import asyncio
from contextlib import suppress

from mastery_engine.domain.moments import SECOND
from mastery_engine.errors import Unavailable
from mastery_engine.services import Mastery


async def tell_waiting(mastery: Mastery) -> None:
    """Say in the metrics how much waits in each partition. Raises Unavailable."""
    ends, committed = await mastery.log.ends(), await mastery.log.committed()
    mastery.metrics.waits({partition: max(end - committed.get(partition, 0), 0) for partition, end in ends.items()})


async def keep_telling(mastery: Mastery) -> None:
    """Say each second how much waits, for this process's worker or for the others', until cancelled."""
    while True:
        with suppress(Unavailable):
            await tell_waiting(mastery)
        await asyncio.sleep(SECOND / 1_000_000)
