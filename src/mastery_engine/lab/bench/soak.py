"""A large class for minutes: 10,000 events and 300 queries a second over 50,000 students, one API and one worker.

The students are amid their term, each with a month behind them, and do what they would do next, in its order; who does
the next thing is left to chance. Events go to Kafka at their rate whatever the engine does, queries likewise (k6). At
the end each document is asked for the ids that it holds: so many events were counted, and none twice.
"""

import asyncio
import os
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from random import Random

import msgspec
from confluent_kafka import Consumer

from mastery_engine.domain.events.event import DEFAULT_TENANT, NAME_OF
from mastery_engine.domain.ids import ID_BYTES
from mastery_engine.domain.moments import Micros
from mastery_engine.domain.student import DocumentKey
from mastery_engine.lab.bench.load import Load, LoadAnswer, command, point, serving
from mastery_engine.lab.bench.measures import Line, at_least, at_most, shown
from mastery_engine.lab.bench.servers import (
    Servers,
    asking,
    drained,
    fresh,
    lag_of,
    memory_mib,
    produce,
    servers,
    working,
)
from mastery_engine.lab.bench.term import StudentAtWork, at_work, documents_in, fill
from mastery_engine.settings import settings_from
from mastery_engine.wiring import curriculum

RATE, QUERIES, STUDENTS = 10_000, 300, 50_000
SHORTEST_S, LONGEST_S, EVENTS_A_SECOND = 10, 300, 150
WARMING_S = 30  # of the same before, not counted: until then a broker's JVM takes half the machine to compile
STEPS = 100
SAMPLED_S = 0.2
PLOTTED = 30  # points of the latency over time
PAGE = 1_000
QUERY = '{"student_id": "student_%d"}'
EVENT = b'{"event_id":"soak-%d","event_type":"%s","data":%s,"student_id":"student_%d"}'

_encode = msgspec.json.Encoder().encode


class Sample(msgspec.Struct, frozen=True):
    """One moment: how many events were not worked yet, and the memory in MiB of the worker."""

    at: float
    lag: int
    memory: float


def soak(runs: int, until: Micros, events: int, *, rate: int | None = None) -> list[Line]:
    """One run, of a second for each 150 of ``events``, 300 at most. Raises StartRefused."""
    del runs
    rate = rate or RATE
    seconds = min(LONGEST_S, max(SHORTEST_S, events // EVENTS_A_SECOND))
    models = at_work(until, STEPS, curriculum(settings_from(os.environ)))
    chance = Random(1)  # nosec B311
    made = next_events(models, (chance.randrange(STUDENTS) for _ in count()))
    with servers() as running:
        fresh(running.environment)
        documents = [(model.student, model.cold) for model in models]
        asyncio.run(fill(running.environment["REDIS_HOST"], STUDENTS, documents))
        before = asyncio.run(_counted(running.environment["REDIS_HOST"]))
        with (
            tempfile.TemporaryDirectory() as folder,
            working(running.environment) as (worker,),
            asking(running.environment) as asker,
        ):
            given = {
                **running.environment,
                "LOG_LEVEL": "WARNING",
                "WORKER_ENABLED": "false",
                "DATA_DIR": folder,
                "RATE_LIMIT_ENABLED": "0",
            }
            token = command("token", "--role", "service", environment=given).strip()
            with serving("-m", "mastery_engine", "serve", ready="/health", environment=given) as service:
                load = Load(f"{service.url}/mastery/query", QUERY, token=token, students=STUDENTS)
                _under_load(running, asker, worker, made, WARMING_S, load, rate)
                drained(asker)
                samples, answers = _under_load(running, asker, worker, made, seconds, load, rate)
            drained(asker)
            counted = asyncio.run(_counted(running.environment["REDIS_HOST"])) - before
    sent = (WARMING_S + seconds) * rate
    third = samples[len(samples) // 3].memory
    worked = seconds * rate - samples[-1].lag
    lags = [sample.lag / rate for sample in samples]
    lag = at_most("soak", "lag, 99% point", "s", [point(lags, 0.99)], 0.5)
    memory = at_most(
        "soak", "memory of the worker at the end, to that after a third", "", [samples[-1].memory / third], 1.1
    )
    taken = [answer.ms for answer in answers]
    query = at_most("soak", f"query at {QUERIES}/s meanwhile, 99% point", "ms", [point(taken, 0.99)], 50.0)
    return [
        at_most("soak", f"events of {sent:,} lost or counted twice", "", [abs(sent - counted)], 0.0),
        at_least("soak", f"events worked within {seconds} s", "events/s", [worked / seconds], rate * 0.99),
        shown("soak", "lag, 50% point", "s", [point(lags, 0.5)]),
        msgspec.structs.replace(lag, over_time=[(sample.at, sample.lag / rate) for sample in samples]),
        shown("soak", f"query at {QUERIES}/s meanwhile, 50% point", "ms", [point(taken, 0.5)]),
        msgspec.structs.replace(query, over_time=_by_time(answers, max(1, seconds // PLOTTED))),
        msgspec.structs.replace(memory, over_time=[(sample.at, sample.memory) for sample in samples]),
    ]


def next_events(models: Sequence[StudentAtWork], students: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """What each of these students does next; its time is that of its receipt."""
    steps = [[(NAME_OF[type(data)].encode(), _encode(data)) for data in model.next] for model in models]
    done: Counter[int] = Counter()
    for number, student in enumerate(students):
        mine = steps[student % len(steps)]
        yield f"student_{student}", EVENT % (number, *mine[done[student] % len(mine)], student)
        done[student] += 1


def _under_load(
    running: Servers,
    asker: Consumer,
    worker: int,
    made: Iterator[tuple[str, bytes]],
    seconds: int,
    load: Load,
    rate: int,
) -> tuple[list[Sample], list[LoadAnswer]]:
    """A sample every fifth of a second, and the queries' answers."""
    samples: list[Sample] = []
    answers: list[LoadAnswer] = []
    failed: list[BaseException] = []

    def beside(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  it is raised below
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    records = (next(made) for _ in range(seconds * rate))
    threads = [
        beside(lambda: produce(running.environment, records, rate=rate)),
        beside(lambda: answers.extend(load.answers(QUERIES, seconds))),
    ]
    started = time.perf_counter()
    for number in range(1, round(seconds / SAMPLED_S) + 1):
        time.sleep(max(0.0, started + number * SAMPLED_S - time.perf_counter()))
        samples.append(Sample(time.perf_counter() - started, lag_of(asker), memory_mib(worker)))
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return samples, answers


def _by_time(answers: Sequence[LoadAnswer], width: int) -> list[tuple[float, float]]:
    """The 99% point of the ms in each so many seconds."""
    taken: dict[int, list[float]] = defaultdict(list)
    for answer in answers:
        taken[int(answer.second) // width].append(answer.ms)
    return [(float((place + 1) * width), point(times, 0.99)) for place, times in sorted(taken.items())]


async def _counted(host: str) -> int:
    """How many events the documents and the values beside them hold, by their ids."""
    counted = 0
    async with documents_in(host) as store:
        for start in range(0, STUDENTS, PAGE):
            numbers = range(start, min(start + PAGE, STUDENTS))
            keys = [DocumentKey(DEFAULT_TENANT, f"student_{number}") for number in numbers]
            for document, cold in zip(await store.load(keys), await store.load_cold(keys), strict=True):
                assert document is not None  # nosec B101
                counted += sum(map(len, (*document.student.seen.recent.values(), *cold.values()))) // ID_BYTES
    return counted
