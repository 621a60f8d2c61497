"""A large class alone: each event is another student's, by one worker on Kafka and Redis, beside the same bytes.

The students have a month behind them. The floor takes the same records, and reads and writes for each the document
and the result that the engine wrote. Both are counted in processor time of their own process, so that what else the
machine does matters little.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from mastery_engine.domain.moments import Micros
from mastery_engine.lab.bench.measures import Line, judged, ratios, shown
from mastery_engine.lab.bench.servers import fresh, servers
from mastery_engine.lab.bench.soak import next_events
from mastery_engine.lab.bench.stream import timed_loop
from mastery_engine.lab.bench.term import at_work, fill
from mastery_engine.settings import settings_from
from mastery_engine.wiring import curriculum

STUDENTS, WARMING, STEPS = 30_000, 3_000, 20


def large_class(runs: int, until: Micros, events: int) -> list[Line]:
    """``events`` at most one of each student; a first run, in which the broker's JVM compiles, is not counted."""
    number = min(events, STUDENTS - WARMING)
    models = at_work(until, STEPS, curriculum(settings_from(os.environ)))
    documents = [(model.student, model.cold) for model in models]
    students = list(range(STUDENTS))
    Random(1).shuffle(students)  # nosec B311
    made = next_events(models, students)
    records = [next(made) for _ in range(WARMING + number)]
    ours: list[float] = []
    floor: list[float] = []
    rates: list[float] = []
    with servers() as running, tempfile.TemporaryDirectory() as folder:
        for run in range(runs + 1):
            costs = [
                _cost(what, Path(folder, "written"), running.environment, documents, records)
                for what in ("engine", "floor")
            ]
            if run:
                ours.append(costs[0][0])
                floor.append(costs[1][0])
                rates.append(costs[0][1])
    return [
        judged("class", f"one event of each of {number:,} students, in the worker", "µs", ours, "event"),
        shown("class", "floor: the same bytes without a domain", "µs", floor),
        judged("class", "ratio to the floor", "", ratios(floor, ours), "to floor"),
        shown("class", "one worker", "events/s", rates),
    ]


def _cost(
    what: str,
    written: Path,
    environment: dict[str, str],
    documents: Sequence[tuple[object, object]],
    records: Sequence[tuple[str, bytes]],
) -> tuple[float, float]:
    """µs of processor time an event, and events a second."""
    fresh(environment)
    asyncio.run(fill(environment["REDIS_HOST"], STUDENTS, documents))  # type: ignore[arg-type]
    taken = timed_loop(what, written, environment, records[:WARMING], records[WARMING:])
    number = len(records) - WARMING
    return taken.processor / number * 1e6, number / taken.seconds
