"""``ingest``: a file of events into the log."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from mastery_engine.cli.console import (
    AsJson,
    Tenant,
    complain,
    counted,
    opened,
    operator,
    progress,
    say,
    settings,
)

if TYPE_CHECKING:
    from mastery_engine.cli.event_file import EventFile
    from mastery_engine.domain.events.event import LearningEvent
    from mastery_engine.errors import MasteryError
    from mastery_engine.services import Mastery

CHUNK = 5_000


class Refusal(msgspec.Struct, frozen=True):
    """A line that did not go in, and why."""

    line: int
    message: str
    field: str | None


class Ingested(msgspec.Struct, frozen=True):
    """What became of a file. ``applied`` counts the events that were new; a running service does not tell it."""

    read: int
    accepted: int
    refused: int
    applied: int | None
    shifted_days: int
    ignored: list[str]
    refusals: list[Refusal]
    seconds: float
    events_per_second: int


class Reading:
    """Reads a file's events in chunks, and keeps account of its lines."""

    def __init__(self, mastery: "Mastery", source: "EventFile", tenant: str, days: int) -> None:
        self._mastery = mastery
        self._source = source
        self._tenant = tenant
        self.days = days
        self.read = self.accepted = 0
        self.refusals: list[Refusal] = []
        self.ignored: set[str] = set()

    def chunks(self, told: Callable[[float], None]) -> Iterator[list["LearningEvent"]]:
        """The events that may count; what may not is named on stderr."""
        from mastery_engine.errors import MasteryError

        chunk: list[LearningEvent] = []
        number = 0
        try:
            for number, line in self._source.lines():
                self.read += 1
                try:
                    chunk.append(self._event(number, line))
                    self.accepted += 1
                except MasteryError as error:
                    self._refuse(number, error)
                if len(chunk) == CHUNK:
                    told(self._source.position)
                    yield chunk
                    chunk = []
        except MasteryError as error:
            self._refuse(number + 1, error)
        if chunk:
            yield chunk
        told(self._source.position)

    def _event(self, number: int, line: bytes) -> "LearningEvent":
        from mastery_engine.cli.event_file import event_in
        from mastery_engine.domain.events.envelope import unknown_fields
        from mastery_engine.domain.student import key_of

        event = event_in(
            number,
            line,
            received=self._mastery.clock(),
            tenant=self._tenant,
            days=self.days,
            retention_days=self._mastery.rules.retention_days,
        )
        self._mastery.consents.check_known_processing(key_of(event))
        self.ignored.update(unknown_fields(line))
        return event

    def _refuse(self, number: int, error: "MasteryError") -> None:
        self.refusals.append(Refusal(number, error.message, error.field))
        complain(f"line {number}: {f'{error.field}: ' if error.field else ''}{error.message}")


def _there(path: Path) -> Path:
    if str(path) != "-" and (path.is_dir() or not path.exists()):
        raise typer.BadParameter(f"there is no file {path}.")
    return path


def ingest(
    file: Annotated[
        Path,
        typer.Argument(help="JSON lines, plain or gzip; - for standard input.", callback=_there),
    ],
    tenant: Tenant = "default",
    shift_to_now: Annotated[
        bool, typer.Option("--shift-to-now", help="Move all times by whole days, the newest into the last 24 hours.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take the learning events of a file.

    Each bad line is named, the others go in, and the exit is 1. Events that were there before change nothing. Beside a
    running service this hands the events over and waits until they count; else it works them itself.

    \b
    Example:
      mastery-engine ingest events.jsonl.gz --shift-to-now
    """
    done = asyncio.run(_ingest(file, tenant, shift_to_now=shift_to_now))
    say(as_json, done, *_words(done))
    if done.refused:
        raise typer.Exit(1)


async def _ingest(path: Path, tenant: str, *, shift_to_now: bool) -> Ingested:
    from mastery_engine.cli.event_file import days_to_now, open_events
    from mastery_engine.cli.feeding import append, catch_up, folded, worked, working
    from mastery_engine.wiring import WorkerLock

    started = perf_counter()
    chosen = settings()
    with open_events(path) as source:
        async with opened(chosen, apart=True) as mastery:
            days = days_to_now(source, mastery.clock()) if shift_to_now else 0
            reading = Reading(mastery, source, tenant, days)
            lock = WorkerLock(chosen)
            ours = chosen.is_on_one_machine and lock.take()
            if ours:
                await catch_up(mastery)
            await mastery.consents.refresh()
            before = folded(mastery)
            async with working(mastery, lock if chosen.is_on_one_machine else None) as work:
                with progress("Reading", source.size) as told:
                    ends = await append(mastery, operator(tenant), reading.chunks(told), "ingest")
                with progress("Applying", sum(ends.values())) as told:
                    await worked(mastery, ends, work, told)
            applied = folded(mastery) - before if ours else None
    seconds = perf_counter() - started
    return Ingested(
        reading.read,
        reading.accepted,
        len(reading.refusals),
        applied,
        reading.days,
        sorted(reading.ignored),
        reading.refusals,
        round(seconds, 3),
        round(reading.accepted / seconds),
    )


def _words(done: Ingested) -> Iterator[str]:
    yield (
        f"Read {counted(done.read, 'line')}: {done.accepted:,} accepted, {done.refused:,} refused; "
        + (
            "the running service has applied what was new"
            if done.applied is None
            else f"{done.applied:,} applied, {done.accepted - done.applied:,} known before"
        )
        + f"; {done.seconds:.1f} s, {done.events_per_second:,} events/s."
    )
    if done.shifted_days:
        yield f"All times were moved by {counted(done.shifted_days, 'day')}."
    if done.ignored:
        yield f"Not known in an event, and ignored: {', '.join(done.ignored)}."
