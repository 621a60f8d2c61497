"""What the engine costs, measured beside a floor in the same run: machines differ and are noisy, ratios hold."""

import json
import os
import platform
import sqlite3
import subprocess  # nosec B404
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, process_time

import msgspec

from mastery_engine.domain.events import LearningEvent, Logged, encode
from mastery_engine.domain.guidance import advise
from mastery_engine.domain.mastery import mastery
from mastery_engine.domain.moments import DAY, Micros, day_of
from mastery_engine.domain.rules import Rules
from mastery_engine.domain.seen import IdsByDay
from mastery_engine.domain.student import NOBODY, Student
from mastery_engine.domain.transition import apply, apply_all, needs_cold
from mastery_engine.lab.simulate import past, pupils
from mastery_engine.settings import settings_from
from mastery_engine.wiring import curriculum

BATCH, STUDENTS = 500, 400
CHUNK = 1_000
SEED = 1


class Line(msgspec.Struct, frozen=True):
    """One measured thing. ``goal`` is in words; ``met`` is None where there is no goal for it."""

    part: str
    what: str
    unit: str
    median: float
    low: float
    high: float
    goal: str = ""
    met: bool | None = None


class Report(msgspec.Struct, frozen=True):
    """A run of the bench, and the machine it ran on."""

    machine: str
    python: str
    sqlite: str
    lines: list[Line]


def report(parts: Sequence[str], *, runs: int, until: Micros, events: int) -> Report:
    """Measure the parts; ``until`` is the time of the newest simulated event, ``events`` how many a file has."""
    lines: list[Line] = []
    for part in parts:
        lines += PARTS[part](runs, until, events)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}"
    return Report(machine, platform.python_version(), sqlite3.sqlite_version, lines)


def fold(runs: int, until: Micros, events: int) -> list[Line]:
    """``transition.apply_all``: batches of 500 decoded events over 400 students who have a month behind them.

    The first batch is not counted: it is the first of a day, and moves the ids of a week ago out of every document.
    """
    del events
    rules, students = Rules(), _grown(until)
    costs: list[float] = []
    offset = 1_000_000
    for run in range(4 * runs + 1):
        batch = _live_batch(students, until + run * 60_000_000, run, offset)
        started = process_time()
        turns = [(students[name], logged, None) for name, logged in batch.items()]
        for name, done in zip(batch, apply_all(turns, until, rules, settled={0: offset}), strict=True):
            students[name] = done.student
        costs.append((process_time() - started) / BATCH * 1e6)
        offset += BATCH
    return [
        _line("fold", "transition.apply_all, 500 events over 400 students", "µs/event", costs[1:], "at most 15", 15.0),
        _line("fold", "advice and path made anew, counted apart", "µs each", _advised(students, until, rules, runs)),
    ]


def _advised(students: Mapping[str, Student], until: Micros, rules: Rules, runs: int) -> list[float]:
    """What it costs to make a student's advice anew, with the course of this installation."""
    course = curriculum(settings_from(os.environ))
    scores = [(one, mastery(one.evidence, until, rules)) for one in students.values()]
    costs: list[float] = []
    for _ in range(runs):
        started = process_time()
        for student, score in scores:
            advise(student.guidance, student.evidence, score, day_of(until), course, rules)
        costs.append((process_time() - started) / len(scores) * 1e6)
    return costs


def _grown(until: Micros) -> dict[str, Student]:
    """Documents of 400 students with 30 days of history, as folded day by day."""
    rules, students = Rules(), {f"student_{number}": NOBODY for number in range(STUDENTS)}
    grown = [
        msgspec.structs.replace(event, at=event.at - DAY, received=event.at - DAY)
        for event in past(pupils(40, SEED), days=29, seed=SEED, until=until)
    ]
    for number, name in enumerate(students):
        mine = [event for event in grown if event.student_id == grown[number % len(grown)].student_id]
        student = NOBODY
        for place, event in enumerate(mine):
            own = [Logged(msgspec.structs.replace(event, student_id=name), 0, place)]
            cold: IdsByDay | None = {} if needs_cold(student, own) else None
            student = apply(student, own, event.at, rules, cold=cold, settled={0: place}).student
        students[name] = student
    return students


def _live_batch(students: dict[str, Student], at: Micros, run: int, offset: int) -> dict[str, list[Logged]]:
    chance = Random(run)  # nosec B311
    names = list(students)
    batch: dict[str, list[Logged]] = defaultdict(list)
    kinds = past(pupils(40, SEED + 1), days=10, seed=SEED, until=at)
    for place in range(BATCH):
        name = names[place] if place < STUDENTS else chance.choice(names)
        model = chance.choice(kinds)
        event = LearningEvent(f"bench-{run}-{place}", name, at, at, model.data)
        batch[name].append(Logged(event, 0, offset + place))
    return batch


def embedded(runs: int, until: Micros, events: int) -> list[Line]:
    """A file of events into SQLite and applied, beside SQLite inserting the same bytes in the same batches."""
    lines = [encode(event) for event in _many(events, until)]
    ours: list[float] = []
    floor: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "class.jsonl")
        source.write_bytes(b"\n".join(lines) + b"\n")
        for run in range(runs):
            floor.append(_inserted(Path(folder, f"floor-{run}.db"), lines))
            ours.append(_ingested(source, Path(folder, f"data-{run}")))
    ratios = [one / other for one, other in zip(ours, floor, strict=True)]
    return [
        _line("embedded", "a file of events, applied", "events/s", ours, "at least 10,000", 10_000, most=False),
        _line("embedded", "floor: SQLite inserts the same bytes", "rows/s", floor),
        _line("embedded", "ratio to the floor", "", ratios, "at least 0.3", 0.3, most=False),
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
    started = perf_counter()
    for start in range(0, len(lines), CHUNK):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO log (value) VALUES (?)", [(line,) for line in lines[start : start + CHUNK]])
        connection.execute("COMMIT")
    seconds = perf_counter() - started
    connection.close()
    return len(lines) / seconds


def _ingested(source: Path, data: Path) -> float:
    done = subprocess.run(  # nosec B603
        [sys.executable, "-m", "mastery_engine", "ingest", str(source), "--json"],
        env={**os.environ, "DATA_DIR": str(data)},
        capture_output=True,
        check=True,
    )
    return float(json.loads(done.stdout)["events_per_second"])


def _line(
    part: str,
    what: str,
    unit: str,
    values: Sequence[float],
    goal: str = "",
    bound: float | None = None,
    *,
    most: bool = True,
) -> Line:
    middle = median(values)
    met = None if bound is None else (middle <= bound if most else middle >= bound)
    return Line(part, what, unit, round(middle, 3), round(min(values), 3), round(max(values), 3), goal, met)


PARTS: dict[str, Callable[[int, Micros, int], list[Line]]] = {"fold": fold, "embedded": embedded}
