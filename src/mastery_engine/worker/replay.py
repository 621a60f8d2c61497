"""Replay: rebuilds all documents from the log. It empties the store, and the worker fills it again."""

import asyncio
from time import monotonic

from mastery_engine.domain.student import StudentKey
from mastery_engine.errors import StartRefused
from mastery_engine.ports.backend import Stores
from mastery_engine.ports.event_log import EventLog
from mastery_engine.worker.flood_guard import FloodGuard

LOOK_S = 0.5


class Replay:
    """Empties the store for a replay, and lists the students rebuilt."""

    def __init__(self, stores: Stores, events: EventLog, guard: FloodGuard) -> None:
        self._stores = stores
        self._events = events
        self._guard = guard

    async def begin(self, patience_s: float) -> dict[int, int]:
        """Remove the checkpoints and all documents; returns the ends up to which the log must be folded.

        Raises StartRefused if others still work the log after ``patience_s`` seconds (a killed worker looks alive for
        one session), and Flooded if a partition is flooded. Nothing is changed then.
        """
        await self._wait_until_alone(patience_s)
        ends = await self._events.ends()
        await self._guard.check(await self._events.log_id(), ends)
        # The checkpoints are removed first, so that after a crash in between the store is filled from the log's start.
        await self._stores.checkpoints.clear()
        await self._stores.documents.clear()
        await self._stores.cohorts.clear_joins()
        return ends

    async def students(self) -> set[StudentKey]:
        """The students who have a document now."""
        return {key.student async for key in self._stores.documents.all_keys()}

    async def _wait_until_alone(self, patience_s: float) -> None:
        deadline = monotonic() + patience_s
        while others := await self._events.workers():
            if monotonic() > deadline:
                workers = f"{len(others):,} worker{'' if len(others) == 1 else 's'}"
                raise StartRefused(
                    f"This log has {workers} already, on {', '.join(dict.fromkeys(others))}. Stop every worker, and "
                    "every serve that works the log, then run the replay again. Nothing was changed."
                )
            await asyncio.sleep(LOOK_S)
