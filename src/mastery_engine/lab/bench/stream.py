"""Kafka → fold → Redis → results → commit by one worker, beside the same loop without a domain, and Quix Streams."""

import os
import subprocess  # nosec B404
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec

from mastery_engine.domain.events.event import encode
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import StartRefused
from mastery_engine.lab.bench.measures import Line, judged, ratios, shown
from mastery_engine.lab.bench.peer_environments import ROOT, python_with
from mastery_engine.lab.bench.servers import PATIENCE_S, fresh, produce, servers
from mastery_engine.lab.bench.timed_loops import TimeTaken
from mastery_engine.lab.simulate.classes import past, pupils

QUIX = "3.28.1"
STUDENTS, MOST_EVENTS = 400, 100_000
WARMING = 20_000  # 50 events a student are known before: a class amid its term


def stream(runs: int, until: Micros, events: int) -> list[Line]:
    """One worker on a broker and a Redis of its own; each run has fresh topics, an empty Redis and new events.

    A first run is not counted: in it the broker's JVM compiles on both processors. Raises StartRefused where the
    servers, or Quix Streams, cannot be had.
    """
    number = min(2 * events, MOST_EVENTS)  # of fewer, the start and the end would be a part that shows
    ours: list[float] = []
    floor: list[float] = []
    peer: list[float] = []
    python = _quix()
    with servers() as running, tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "written")
        for run in range(runs + 1):
            records = class_events(number, until, run)
            ours.append(number / _timed("engine", written, running.environment, records))
            floor.append(number / _timed("floor", written, running.environment, records))
            peer.append(number / _peer(python, running.environment, records, Path(folder, str(run))))
    ours, floor, peer = ours[1:], floor[1:], peer[1:]
    what = f"one worker, {number:,} events over {STUDENTS} students"
    return [
        judged("stream", what, "events/s", ours, "events"),
        shown("stream", "floor: the same loop and bytes without a domain", "events/s", floor),
        shown("stream", f"Quix Streams {QUIX}, a smaller fold", "events/s", peer),
        judged("stream", "ratio to the floor", "", ratios(ours, floor), "to floor"),
        judged("stream", "ratio to Quix Streams", "", ratios(ours, peer), "to Quix"),
    ]


def class_events(number: int, until: Micros, run: int) -> list[tuple[str, bytes]]:
    """Students and events as a live class sends them, one a millisecond up to now."""
    chance = Random(run)  # nosec B311
    kinds = past(pupils(40, run), days=10, seed=run, until=until)
    records = []
    for place in range(number + WARMING):
        model, name = chance.choice(kinds), f"student_{chance.randrange(STUDENTS)}"
        at = until - (number - place) * 1_000
        event = msgspec.structs.replace(model, event_id=f"stream-{run}-{place}", student_id=name, at=at, received=at)
        records.append((name, encode(event)))
    return records


def _timed(what: str, written: Path, environment: dict[str, str], records: Sequence[tuple[str, bytes]]) -> float:
    """Seconds that one of ``timed_loops`` takes for the records, less those that it starts with."""
    fresh(environment)
    return timed_loop(what, written, environment, records[:WARMING], records[WARMING:]).seconds


def timed_loop(
    what: str,
    written: Path,
    environment: dict[str, str],
    before: Sequence[tuple[str, bytes]],
    records: Sequence[tuple[str, bytes]],
) -> TimeTaken:
    """What one of ``timed_loops`` takes for the records, which come once it has worked those ``before``."""
    produce(environment, before)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}
    with (
        tempfile.TemporaryDirectory() as data,
        subprocess.Popen(  # nosec B603
            [sys.executable, "-m", "mastery_engine.lab.bench.timed_loops", what, str(written)],
            env={**kept, **environment, "DATA_DIR": data, "LOG_LEVEL": "ERROR"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as run,
    ):
        assert run.stdout is not None  # nosec B101
        assert run.stdin is not None  # nosec B101
        if run.stdout.readline().strip() != "ready":
            raise StartRefused(f"The bench's {what} did not start: see what it wrote above.")
        produce(environment, records)
        run.stdin.write("go\n")
        run.stdin.flush()
        seconds, processor = run.stdout.readline().split()
        return TimeTaken(float(seconds), float(processor))


def _peer(python: Path, environment: dict[str, str], records: Sequence[tuple[str, bytes]], folder: Path) -> float:
    """Seconds that Quix Streams takes from its first record to its last commit."""
    fresh(environment)
    records = records[WARMING:]
    produce(environment, records)
    script = ROOT / "scripts" / "peers" / "quix_fold.py"
    done = subprocess.run(  # nosec B603
        [str(python), str(script), environment["KAFKA_BROKER"], str(len(records)), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return float(done.stdout.split()[-1])


def _quix() -> Path:
    return python_with("quixstreams", f"quixstreams=={QUIX}")
