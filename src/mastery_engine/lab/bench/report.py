"""What the engine costs, measured beside a floor in the same run: machines differ and are noisy, ratios hold."""

import json
import os
import platform
import sqlite3
import subprocess  # nosec B404
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from mastery_engine.domain.events.event import LearningEvent, encode
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.attacks import attacks
from mastery_engine.lab.bench.commands import commands
from mastery_engine.lab.bench.fold import fold
from mastery_engine.lab.bench.forecasts import forecasts
from mastery_engine.lab.bench.http import batch, http, lag
from mastery_engine.lab.bench.large_class import large_class
from mastery_engine.lab.bench.measures import Line, Report, judged, ratios, shown, unmeasured
from mastery_engine.lab.bench.next import next_answers
from mastery_engine.lab.bench.pages import pages
from mastery_engine.lab.bench.peers import peers
from mastery_engine.lab.bench.scale import scale
from mastery_engine.lab.bench.sizing import sizing
from mastery_engine.lab.bench.soak import soak
from mastery_engine.lab.bench.steps import steps
from mastery_engine.lab.bench.stream import stream
from mastery_engine.lab.bench.tokens import tokens
from mastery_engine.lab.bench.watch import watch
from mastery_engine.lab.bench.workers import workers
from mastery_engine.lab.bench.xapi import xapi
from mastery_engine.lab.plots import COLOURS, Frame, line, plot
from mastery_engine.lab.simulate.classes import past, pupils

CHUNK, LEAST = 1_000, 10_000
SEED = 1


def report(
    parts: Sequence[str],
    *,
    runs: int,
    until: Micros,
    events: int,
    rate: int | None = None,
    workers_on_paper: bool = False,
    on_part: Callable[[Sequence[Line]], None] | None = None,
) -> Report:
    """Measure the parts; ``until`` is the time of the newest simulated event, ``events`` how many a file has.

    ``rate`` is how many a second come in a soak; with ``workers_on_paper`` the part ``scale`` says what many events and
    students need. ``on_part`` is given the lines of each part as it ends. A part that
    cannot be measured here says why, and the others go on.
    """
    lines: list[Line] = []
    work = PARTS | {"soak": partial(soak, rate=rate)}
    if workers_on_paper:
        work["scale"] = sizing
    for part in parts:
        try:
            measured = work[part](runs, until, events)
        except StartRefused as error:
            measured = [unmeasured(part, str(error))]
        except Exception as error:  # noqa: BLE001  whatever it is, the others go on
            said = error.stderr if isinstance(error, subprocess.CalledProcessError) else error
            measured = [unmeasured(part, f"{type(error).__name__}: {str(said or error).strip()[-300:]}")]
        lines += measured
        if on_part is not None:
            on_part(measured)
    return Report(*machine(), lines)


def machine() -> tuple[str, str, str]:
    """What this runs on: the machine, Python and SQLite."""
    release = ".".join(platform.release().split("-")[0].split(".")[:2])
    here = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {release}"
    return here, platform.python_version(), sqlite3.sqlite_version


def page(measured: Report) -> str:
    """What was measured over time, as a page of plots."""
    drawn = []
    for figure in measured.lines:
        if figure.over_time:
            seconds, highest = figure.over_time[-1][0], max(value for _, value in figure.over_time)
            frame = Frame(figure.what, "second", figure.unit, (0.0, max(1.0, seconds)), (0.0, highest * 1.1 or 1.0))
            drawn.append(plot(frame, line(frame, figure.over_time, COLOURS[0])))
    head = "<!doctype html><html lang='en'><meta charset='utf-8'><title>Mastery Engine: bench</title>"
    return f"{head}<h1>{escape(measured.machine)}</h1>{''.join(drawn)}</html>"


def embedded(runs: int, until: Micros, events: int) -> list[Line]:
    """A file of events into SQLite and applied, beside SQLite inserting the same bytes in the same batches.

    The floor decodes each line once, as that of the stream does. A first run that is not counted compiles the engine.
    """
    lines = [encode(event) for event in _many(max(events, LEAST), until)]
    ours: list[float] = []
    floor: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "class.jsonl")
        source.write_bytes(b"\n".join(lines) + b"\n")
        first = Path(folder, "first.jsonl")
        first.write_bytes(lines[0] + b"\n")
        _ingested(first, Path(folder, "first"))
        for run in range(runs):
            floor.append(_inserted(Path(folder, f"floor-{run}.db"), lines))
            ours.append(_ingested(source, Path(folder, f"data-{run}")))
    return [
        judged("embedded", "a file of events, applied", "events/s", ours, "events"),
        shown("embedded", "floor: SQLite inserts the same bytes", "rows/s", floor),
        judged("embedded", "ratio to the floor", "", ratios(ours, floor), "to floor"),
    ]


def _many(events: int, until: Micros) -> Iterator[LearningEvent]:
    made = 0
    seed = SEED
    while made < events:
        for event in past(pupils(400, seed), days=30, seed=seed, until=until):
            if made == events:
                return
            made += 1
            yield event
        seed += 1


def _inserted(path: Path, lines: Sequence[bytes]) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, value BLOB)")
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    started = perf_counter()
    for start in range(0, len(lines), CHUNK):
        rows = [(line,) for line in lines[start : start + CHUNK] if decode(line)]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO log (value) VALUES (?)", rows)
        connection.execute("COMMIT")
    seconds = perf_counter() - started
    connection.close()
    return len(lines) / seconds


def _ingested(source: Path, data: Path) -> float:
    done = subprocess.run(  # nosec B603
        [sys.executable, "-m", "mastery_engine", "ingest", str(source), "--json"],
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        | {"DATA_DIR": str(data)},
        capture_output=True,
        check=True,
    )
    return float(json.loads(done.stdout)["events_per_second"])


PARTS: dict[str, Callable[[int, Micros, int], list[Line]]] = {
    "fold": fold,
    "steps": steps,
    "embedded": embedded,
    "http": http,
    "batch": batch,
    "lag": lag,
    "xapi": xapi,
    "forecasts": forecasts,
    "next": next_answers,
    "watch": watch,
    "pages": pages,
    "attacks": attacks,
    "scale": scale,
    "tokens": tokens,
    "commands": commands,
    "stream": stream,
    "workers": workers,
    "peers": peers,
    "class": large_class,
    "soak": soak,
}
