"""``replay``: all documents anew, from the log."""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mastery_engine.cli.console import AsJson, counted, opened, progress, say, settings

if TYPE_CHECKING:
    from mastery_engine.ports.event_log import EventLog
    from mastery_engine.settings import Settings

LOOK_S = 0.5


class Replayed(msgspec.Struct, frozen=True):
    """What a replay did: the events that it folded, and the students whose documents it made."""

    events: int
    students: int
    seconds: float


def replay(as_json: AsJson = False) -> None:
    """Rebuild every student's document from the log. No result is sent again, and no service may run meanwhile.

    \b
    Example:
      mastery-engine replay
    """
    done = asyncio.run(_replay(settings()))
    say(
        as_json,
        done,
        f"Rebuilt {counted(done.students, 'document')} from {counted(done.events, 'event')} in {done.seconds:.1f} s.",
    )


async def _replay(settings: "Settings") -> Replayed:
    from time import perf_counter

    from mastery_engine.cli.feeding import folded, worked, working
    from mastery_engine.wiring import WorkerLock
    from mastery_engine.worker.flood_guard import check_floods

    started = perf_counter()
    with WorkerLock(settings) as lock:
        async with opened(settings, apart=True) as mastery:
            await _alone(mastery.log, settings.kafka_session_timeout_ms / 1_000 + 1)
            ends = await mastery.log.ends()
            await check_floods(mastery, await mastery.log.log_id(), ends)
            await mastery.store.clear()
            with progress("Replaying", sum(ends.values())) as told:
                async with working(mastery, lock) as work:
                    await worked(mastery, ends, work, told)
            students = [key async for key in mastery.store.students()]
            events = folded(mastery)
    return Replayed(events, len(students), round(perf_counter() - started, 3))


async def _alone(log: "EventLog", patience: float) -> None:
    """Return once nobody else works the log; one that was killed looks alive for a session. Raises StartRefused."""
    from time import monotonic

    from mastery_engine.errors import StartRefused

    deadline = monotonic() + patience
    while others := await log.workers():
        if monotonic() > deadline:
            raise StartRefused(
                f"This log has {counted(len(others), 'worker')} already, on {', '.join(dict.fromkeys(others))}: stop "
                "each worker, and each serve that works the log too, then replay again. Nothing was changed."
            )
        await asyncio.sleep(LOOK_S)
