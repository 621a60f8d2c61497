"""Kafka → fold → Redis → results → commit by one worker, beside the same loop without a domain, and Quix Streams."""

import os
import subprocess  # nosec B404
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from redis import Redis

from mastery_engine.domain.events import encode
from mastery_engine.domain.moments import Micros
from mastery_engine.errors import StartRefused
from mastery_engine.lab.measures import Line, at_least, shown
from mastery_engine.lab.simulate import past, pupils
from mastery_engine.logs.base import REQUESTS_TOPIC
from mastery_engine.logs.kafka_settings import KafkaSettings
from mastery_engine.logs.topics import TOPICS, ensure_topics

ROOT = Path(__file__).parents[3]
QUIX = "3.28.1"
STUDENTS, MOST_EVENTS = 400, 30_000
WARMING = 20_000  # 50 events a student are known before: a class amid its term
PATIENCE_S = 120


def stream(runs: int, until: Micros, events: int) -> list[Line]:
    """One worker on a broker and a Redis of its own; each run has fresh topics, an empty Redis and new events.

    Raises StartRefused where the servers, or Quix Streams, cannot be had.
    """
    number = min(events, MOST_EVENTS)
    ours: list[float] = []
    floor: list[float] = []
    peer: list[float] = []
    python = _quix()
    with _servers() as environment, tempfile.TemporaryDirectory() as folder:
        for run in range(runs):
            records = _records(number, until, run)
            floor.append(number / _timed("floor", environment, records))
            ours.append(number / _timed("engine", environment, records))
            peer.append(number / _peer(python, environment, records, Path(folder, str(run))))
    beside_floor = [one / other for one, other in zip(ours, floor, strict=True)]
    beside_peer = [one / other for one, other in zip(ours, peer, strict=True)]
    what = f"one worker, {number:,} events over {STUDENTS} students"
    return [
        at_least("stream", what, "events/s", ours, 10_000),
        shown("stream", "floor: the same loop without a domain", "events/s", floor),
        shown("stream", f"Quix Streams {QUIX}, a smaller fold", "events/s", peer),
        at_least("stream", "ratio to the floor", "", beside_floor, 0.5),
        at_least("stream", "ratio to Quix Streams", "", beside_peer, 1.0),
    ]


def _records(number: int, until: Micros, run: int) -> list[tuple[str, bytes]]:
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


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    """Kafka and Redis of this bench's own, and how they are reached."""
    if not (ROOT / "scripts" / "servers").is_dir():
        raise StartRefused("bench stream starts Kafka and Redis with scripts/servers: run it from the source tree.")
    started = subprocess.Popen(  # nosec B603
        [sys.executable, "-m", "scripts.servers"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        said = [started.stdout.readline() for _ in range(2)] if started.stdout else []
        words = dict(one.removeprefix("export ").strip().split("=", 1) for one in said if "=" in one)
        if words.keys() != {"KAFKA_BROKER", "REDIS_HOST"}:
            raise StartRefused(f"Kafka and Redis did not start: {started.communicate(timeout=PATIENCE_S)[1].strip()}")
        yield words
    finally:
        started.terminate()
        started.wait(PATIENCE_S)


def _timed(what: str, environment: dict[str, str], records: Sequence[tuple[str, bytes]]) -> float:
    """Seconds that one of ``stream_runs`` takes for the records, less those that it starts with."""
    _fresh(environment)
    _produce(environment, records[:WARMING])
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH", "LANG") if name in os.environ}
    with (
        tempfile.TemporaryDirectory() as data,
        subprocess.Popen(  # nosec B603
            [sys.executable, "-m", "mastery_engine.lab.stream_runs", what],
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
        _produce(environment, records[WARMING:])
        run.stdin.write("go\n")
        run.stdin.flush()
        return float(run.stdout.readline())


def _peer(python: Path, environment: dict[str, str], records: Sequence[tuple[str, bytes]], folder: Path) -> float:
    """Seconds that Quix Streams takes from its first record to its last commit."""
    _fresh(environment)
    records = records[WARMING:]
    _produce(environment, records)
    script = ROOT / "scripts" / "peers" / "quix_fold.py"
    done = subprocess.run(  # nosec B603
        [str(python), str(script), environment["KAFKA_BROKER"], str(len(records)), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return float(done.stdout.split()[-1])


def _fresh(environment: dict[str, str]) -> None:
    """Topics without a record, and a Redis without a key."""
    with Redis.from_url(f"redis://{environment['REDIS_HOST']}") as store:
        store.flushall()
    settings = KafkaSettings(environment["KAFKA_BROKER"])
    admin = AdminClient(settings.client())
    old = [name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")]
    for outcome in (admin.delete_topics(old) if old else {}).values():
        outcome.result(20)
    while set(TOPICS) & admin.list_topics(timeout=10).topics.keys():
        time.sleep(0.05)
    ensure_topics(settings)


def _produce(environment: dict[str, str], records: Sequence[tuple[str, bytes]]) -> None:
    producer = Producer({"bootstrap.servers": environment["KAFKA_BROKER"], "linger.ms": 5})
    for name, value in records:
        producer.produce(REQUESTS_TOPIC, value, name)
    producer.flush(PATIENCE_S)


def _quix() -> Path:
    """A Python that has Quix Streams, in a virtual environment of its own that is kept outside the tree."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mastery-engine"
    place = cache / f"quixstreams-{QUIX}"
    python = place / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)  # nosec B603
        quiet = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([str(python), *quiet, f"quixstreams=={QUIX}"], check=True)  # nosec B603
    except (OSError, subprocess.CalledProcessError) as error:
        raise StartRefused(f"Quix Streams {QUIX} cannot be had here: {error}.") from error
    return python
