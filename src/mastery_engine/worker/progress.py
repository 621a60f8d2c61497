"""Progress in the log, whoever works it: for commands that wait until the events they appended are folded."""

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic

from mastery_engine.errors import Unavailable
from mastery_engine.ports.checkpoints import Checkpoints
from mastery_engine.ports.event_log import EventLog

LOOK_S = 0.02
PATIENCE_S = 60.0


class LogProgress:
    """Compares what is stored and published with the ends of the log."""

    def __init__(self, events: EventLog, checkpoints: Checkpoints) -> None:
        self._events = events
        self._checkpoints = checkpoints

    async def ends(self) -> dict[int, int]:
        """For each partition, the offset that the next event will get."""
        return await self._events.ends()

    async def wait_for(
        self, ends: Mapping[int, int], work: asyncio.Task[None], on_progress: Callable[[float], None]
    ) -> None:
        """Wait until the log is folded up to the offsets; ``on_progress`` gets the number of records done.

        Raises Unavailable if nothing moves for a minute, and the error of ``work``, which works the log here.
        """
        log_id = await self._events.log_id()
        before, moved = -1, monotonic()
        while True:
            held, committed = (await self._checkpoints.read(log_id)).offsets, await self._events.committed()
            reached = {part: min(held.get(part, 0), committed.get(part, 0), end) for part, end in ends.items()}
            on_progress(sum(reached.values()))
            if reached == ends:
                return
            if work.done():
                work.result()
            if sum(reached.values()) > before:
                before, moved = sum(reached.values()), monotonic()
            elif monotonic() - moved > PATIENCE_S:
                raise Unavailable(
                    "The events are safe in the log, but the process that works the log has made no progress for "
                    f"{PATIENCE_S:.0f} s: check that process. The events count as soon as it continues."
                )
            await asyncio.sleep(LOOK_S)
