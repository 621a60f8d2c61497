"""``ingest``: appends a file of events to the log."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, cast

import msgspec
import typer

from mastery_engine.cli.console import (
    AsJson,
    Tenant,
    counted,
    course_if_named,
    opened,
    operator,
    progress,
    readable_file,
    say,
    settings,
)
from mastery_engine.cli.refusals import Refusals, what_of_accepted

if TYPE_CHECKING:
    from mastery_engine.cli.event_file import EventFile
    from mastery_engine.cli.feeding import Chunk
    from mastery_engine.cli.ingest_messages import IngestedMessages
    from mastery_engine.domain.events.event import LearningEvent
    from mastery_engine.doors.drafts import DoorName
    from mastery_engine.engine import Engine
    from mastery_engine.errors import MasteryError

CHUNK = 5_000

Form: TypeAlias = Literal["native", "jsonl", "csv", "parquet", "xapi", "caliper", "canvas", "openedx"]
OWN: tuple[Form, ...] = ("native", "jsonl", "csv", "parquet")


class RefusedLine(msgspec.Struct, frozen=True):
    """A line that was refused, and why."""

    line: int
    message: str
    field: str | None


class Ingested(msgspec.Struct, frozen=True):
    """The outcome for a file. ``applied`` counts the events that were new; None if a running service folds them.

    ``refusals`` are the lines that were named: of a file without a good line the first 20.
    """

    read: int
    accepted: int
    refused: int
    applied: int | None
    shifted_days: int
    ignored: list[str]
    refusals: list[RefusedLine]
    seconds: float
    events_per_second: int


class EventFileReader:
    """Reads a file's events in chunks, and counts its lines."""

    def __init__(
        self, engine: "Engine", source: "EventFile", tenant: str, days: int, *, is_dump: bool, keeps_receipt: bool
    ) -> None:
        """The lines of a dump tell their receipt. A log that keeps it takes by it what is too old by now."""
        self._is_dump = is_dump
        self._keeps_receipt = is_dump and keeps_receipt and not days
        self._engine = engine
        self._source = source
        self._tenant = tenant
        self.days = days
        self.read = self.accepted = 0
        self._refusals: Refusals[RefusedLine] = Refusals("line")
        self.ignored: set[str] = set()

    async def chunks(self, on_progress: Callable[[float], None]) -> AsyncIterator["Chunk"]:
        """The events that may count; refused lines are named on stderr. ``on_progress`` gets the bytes read so far."""
        from mastery_engine.cli.feeding import Chunk
        from mastery_engine.errors import MasteryError

        events: list[LearningEvent] = []
        values: list[bytes | None] = []
        number, plain_event = 0, self._plain_event()
        try:
            for number, line in self._source.lines():
                self.read += 1
                try:
                    plain = plain_event(line)
                    events.append(self._event(number, line) if plain is None else plain)
                    values.append(None if plain is None else line)
                    self.accepted += 1
                    self._refusals.take_good()
                except MasteryError as error:
                    self._refuse(number, error)
                if len(events) == CHUNK:
                    on_progress(self._source.position)
                    yield Chunk(events, values)
                    events, values, plain_event = [], [], self._plain_event()
        except MasteryError as error:
            self._refuse(number + 1, error)
        if events:
            yield Chunk(events, values)
        self._refusals.close()
        on_progress(self._source.position)

    def _plain_event(self) -> Callable[[bytes], "LearningEvent | None"]:
        """Reads the plain lines of a chunk, which are received at its beginning; of others it gives None."""
        from mastery_engine.cli.event_file import PlainLines

        if self.days or not self._engine.consents.allows_all:
            return _nothing
        return PlainLines(self._engine.clock(), self._tenant, self._engine.courses.at_hand).event_in

    def _event(self, number: int, line: bytes) -> "LearningEvent":
        from mastery_engine.cli.dump_reader import RECEIVED, dumped_receipt
        from mastery_engine.cli.event_file import event_in
        from mastery_engine.domain.student import key_of
        from mastery_engine.errors import RefusedEvent

        take = partial(
            event_in, number, line, tenant=self._tenant, days=self.days, rules_of=self._engine.courses.at_hand
        )
        now = self._engine.clock()
        try:
            event, unknown = take(received=now)
        except RefusedEvent:
            before = dumped_receipt(line) if self._keeps_receipt else None
            if before is None or before >= now:
                raise
            event, unknown = take(received=before)
        if self._is_dump:
            unknown = [name for name in unknown if name != RECEIVED]
        event = self._engine.consents.as_owners(event)
        self._engine.consents.check_processing(key_of(event))
        self.ignored.update(unknown)
        return event

    def done(self, applied: int | None, seconds: float) -> Ingested:
        """The outcome, once all lines are read."""
        return Ingested(
            self.read,
            self.accepted,
            self._refusals.count,
            applied,
            self.days,
            sorted(self.ignored),
            self._refusals.named,
            round(seconds, 3),
            round(self.accepted / seconds),
        )

    def _refuse(self, number: int, error: "MasteryError") -> None:
        self._refusals.refuse(RefusedLine(number, error.message, error.field), f"line {number}: {error.located}")


def _nothing(line: bytes) -> None:
    del line


def ingest(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON lines (a platform's messages also as one JSON value), plain or gzip; - for standard input.",
            callback=readable_file,
        ),
    ],
    tenant: Tenant = "default",
    shift_to_now: Annotated[
        bool,
        typer.Option(
            "--shift-to-now", help="Move all times by whole days, so that the newest lies in the last 24 hours."
        ),
    ] = False,
    form: Annotated[
        Form,
        typer.Option(
            "--format",
            help="Whose messages the file has: our own events, a dump of them, or those of a platform.",
            show_default=True,
        ),
    ] = "native",
    course: Annotated[
        str | None,
        typer.Option(
            help="With --format of a platform: the course of messages that name none. Default: the one named default.",
            callback=course_if_named,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ingest the learning events of a file, or another platform's messages, of which it says what each became.

    Bad lines are named and the others are ingested; then the exit status is 1. Of a file without a good line the first
    20 are named. Events that were ingested before
    change nothing. If a service is running, the command waits until it has folded the events, else it folds them.
    Messages of platforms may stand in lines, in a JSON list, or in an envelope.

    \b
    Examples:
      mastery-engine ingest events.jsonl.gz --shift-to-now
      mastery-engine ingest statements.json --format xapi --course algebra
      mastery-engine ingest events.parquet --format parquet
    """
    if course is not None and form in OWN:
        raise typer.BadParameter("our own events name their course themselves, by course_id.", param_hint="--course")
    done = asyncio.run(_ingest(file, tenant, form, course, shift_to_now=shift_to_now))
    say(as_json, done, *(_words(done) if isinstance(done, Ingested) else _message_words(done)))
    if done.refused:
        raise typer.Exit(1)


async def _ingest(
    path: Path, tenant: str, form: Form, course: str | None, *, shift_to_now: bool
) -> "Ingested | IngestedMessages":
    from mastery_engine.cli.dump_reader import DUMPS
    from mastery_engine.cli.event_file import EventFile, days_to_now, open_events
    from mastery_engine.cli.feeding import append, catch_up, folded, working
    from mastery_engine.cli.ingest_messages import MessageFileReader
    from mastery_engine.collector import tune_gc
    from mastery_engine.data_folder import WorkerLock

    started = perf_counter()
    chosen = settings()
    with open_events(path, DUMPS.get(form, EventFile)) as source:
        async with opened(chosen, apart=True) as engine:
            tune_gc()
            reader: EventFileReader | MessageFileReader
            if form in OWN:
                days = days_to_now(source, engine.clock()) if shift_to_now else 0
                on_sqlite = chosen.log == "sqlite"
                reader = EventFileReader(engine, source, tenant, days, is_dump=form in DUMPS, keeps_receipt=on_sqlite)
            else:
                reader = MessageFileReader(engine, source, tenant, cast("DoorName", form), course)
                if shift_to_now:
                    reader.shift_to_now()
            lock = WorkerLock(chosen)
            ours = chosen.is_on_one_machine and lock.take()
            if ours:
                await catch_up(engine)
            await engine.consents.refresh()
            await engine.courses.learn_all(tenant, engine.clock())
            before = folded(engine)
            async with working(engine, lock if chosen.is_on_one_machine else None) as work:
                with progress("Reading", source.size) as on_progress:
                    ends = await append(engine, operator(tenant), reader.chunks(on_progress), "ingest")
                with progress("Applying", sum(ends.values())) as on_progress:
                    await engine.progress.wait_for(ends, work, on_progress)
            applied = folded(engine) - before if ours else None
    return reader.done(applied, perf_counter() - started)


def _message_words(done: "IngestedMessages") -> Iterator[str]:
    from mastery_engine.cli.ingest_messages import message_words

    return message_words(done)


def _words(done: Ingested) -> Iterator[str]:
    yield (
        f"Read {counted(done.read, 'line')}: {done.accepted:,} accepted, {done.refused:,} refused; "
        + what_of_accepted(done.accepted, done.applied)
        + f"{done.seconds:.1f} s, {done.events_per_second:,} events/s."
    )
    if done.shifted_days:
        yield f"All times were moved by {counted(done.shifted_days, 'day')}."
    if done.ignored:
        yield f"Unknown fields that were ignored: {', '.join(done.ignored)}."
