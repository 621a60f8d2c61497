"""``replay``: rebuilds all documents from the log."""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from mastery_engine.cli.console import AsJson, counted, opened, progress, say, settings

if TYPE_CHECKING:
    from mastery_engine.settings import Settings


class Replayed(msgspec.Struct, frozen=True):
    """What a replay did: the numbers of events folded, of students rebuilt, and of records that were refused."""

    events: int
    students: int
    refused: int
    seconds: float


def replay(as_json: AsJson = False) -> None:
    """Rebuild every student's document from the log. No result is published again; stop all services first.

    \b
    Example:
      mastery-engine replay
    """
    done = asyncio.run(_replay(settings()))
    say(
        as_json,
        done,
        f"Rebuilt {counted(done.students, 'document')} from {counted(done.events, 'event')} in {done.seconds:.1f} s."
        + (f" {counted(done.refused, 'record')} of the log could not be folded." if done.refused else ""),
    )


async def _replay(settings: "Settings") -> Replayed:
    from time import perf_counter

    from mastery_engine.cli.feeding import folded, working
    from mastery_engine.data_folder import WorkerLock

    started = perf_counter()
    with WorkerLock(settings) as lock:
        async with opened(settings, apart=True) as engine:
            # A worker that was killed looks alive until its session ends.
            ends = await engine.replay.begin(settings.kafka_session_timeout_ms / 1_000 + 1)
            with progress("Replaying", sum(ends.values())) as on_progress:
                async with working(engine, lock) as work:
                    await engine.progress.wait_for(ends, work, on_progress)
            students = await engine.replay.students()
            events = folded(engine)
    return Replayed(events, len(students), engine.worker.refused, round(perf_counter() - started, 3))
